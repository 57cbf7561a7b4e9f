/** One connection, lookup or datagram in the way that its argument names. */
import java.io.*;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.util.Hashtable;
import javax.naming.directory.*;

class Pods {
    static final String GET = "GET / HTTP/1.0\r\n\r\n";

    static String url() throws Exception {
        var connection = (HttpURLConnection) new URL("http://web/").openConnection(Proxy.NO_PROXY);
        return new String(connection.getInputStream().readAllBytes());
    }

    /** Non-blocking: a selector says when the connect is over. */
    static String nio() throws Exception {
        var selector = Selector.open();
        var channel = SocketChannel.open();
        channel.configureBlocking(false);
        channel.register(selector, SelectionKey.OP_CONNECT);
        if (!channel.connect(new InetSocketAddress("web", 80))) {
            selector.select(9000);
            channel.finishConnect();
        }
        channel.write(ByteBuffer.wrap(GET.getBytes()));
        channel.keyFor(selector).cancel();
        selector.selectNow();
        channel.configureBlocking(true);
        return new String(Channels.newInputStream(channel).readAllBytes()) + channel.getRemoteAddress();
    }

    static String udp() throws Exception {
        var socket = new DatagramSocket();
        var to = new InetSocketAddress("198.18.0.2", 80);
        socket.setSoTimeout(9000);
        socket.send(new DatagramPacket("pods".getBytes(), 4, to));
        var packet = new DatagramPacket(new byte[64], 64);
        socket.receive(packet);
        return new String(packet.getData(), 0, packet.getLength()) + packet.getSocketAddress();
    }

    static String srv() throws Exception {
        var settings = new Hashtable<String, String>();
        settings.put("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory");
        var name = "_http._tcp.web.default.svc.cluster.local";
        return new InitialDirContext(settings).getAttributes(name, new String[] {"SRV"}).toString();
    }

    static String child() throws Exception {
        var process = new ProcessBuilder("curl", "-sS", "http://web").start();
        return new String(process.getInputStream().readAllBytes());
    }

    public static void main(String[] words) throws Exception {
        System.out.println((String) Pods.class.getDeclaredMethod(words[0]).invoke(null));
    }
}
