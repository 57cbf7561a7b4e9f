// What a Go program does with its network, one thing a run, without libc:
//
//	closed srv NAME | udp HOST PORT | listen HOST PORT | fork URL | pass HOST PORT | chaos ADDRESS ...
package main

import (
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func srv(name string) {
	_, found, err := net.LookupSRV("", "", name)
	check(err)
	for _, one := range found {
		fmt.Println(one.Target, one.Port)
	}
}

func udp(address string) {
	link, err := net.Dial("udp", address)
	check(err)
	check(link.SetDeadline(time.Now().Add(9 * time.Second)))
	_, err = link.Write([]byte("pods"))
	check(err)
	got := make([]byte, 99)
	n, err := link.Read(got)
	check(err)
	fmt.Println(string(got[:n]), link.RemoteAddr())
}

func listen(address string) {
	socket, err := net.ListenPacket("udp", ":0")
	check(err)
	check(socket.SetDeadline(time.Now().Add(9 * time.Second)))
	target, err := net.ResolveUDPAddr("udp", address)
	check(err)
	_, err = socket.WriteTo([]byte("pods"), target)
	check(err)
	got := make([]byte, 99)
	n, from, err := socket.ReadFrom(got)
	check(err)
	fmt.Println(string(got[:n]), from)
}

func get(url string) {
	response, err := http.Get(url)
	check(err)
	body, err := io.ReadAll(response.Body)
	check(err)
	fmt.Print(string(body))
}

func child(words ...string) *exec.Cmd {
	made := exec.Command("/proc/self/exe", words...)
	made.Stdout, made.Stderr = os.Stdout, os.Stderr
	return made
}

// A connected socket goes to the child, in a message over a Unix socket.
func pass(address string) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	check(err)
	link, err := net.Dial("tcp", address)
	check(err)
	file, err := link.(*net.TCPConn).File()
	check(err)
	right := syscall.UnixRights(int(file.Fd()))
	check(syscall.Sendmsg(pair[0], []byte("x"), right, nil, 0))
	receiver := child("take")
	receiver.Stdin = os.NewFile(uintptr(pair[1]), "far")
	check(receiver.Run())
}

func take() {
	control := make([]byte, 64)
	_, n, _, _, err := syscall.Recvmsg(0, make([]byte, 1), control, 0)
	check(err)
	messages, err := syscall.ParseSocketControlMessage(control[:n])
	check(err)
	fds, err := syscall.ParseUnixRights(&messages[0])
	check(err)
	link, err := net.FileConn(os.NewFile(uintptr(fds[0]), "passed"))
	check(err)
	_, err = io.WriteString(link, "GET / HTTP/1.0\r\n\r\n")
	check(err)
	fmt.Println(link.RemoteAddr())
	_, err = io.Copy(os.Stdout, link)
	check(err)
}

// Many at once, most of which lose patience; every twentieth is another process, which is killed.
func chaos(addresses []string) {
	var waiting sync.WaitGroup
	for i := 0; i < 400; i++ {
		waiting.Add(1)
		go func(i int) {
			defer waiting.Done()
			patience := time.Duration(rand.Intn(40)) * time.Millisecond
			address := addresses[i%len(addresses)]
			if i%20 == 0 {
				other := child("udp", "198.18.0.6", "80")
				check(other.Start())
				time.Sleep(patience)
				other.Process.Kill()
				other.Wait()
				return
			}
			link, err := net.DialTimeout([]string{"tcp", "udp"}[i%2], address, patience)
			if err == nil {
				link.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
				link.SetDeadline(time.Now().Add(patience))
				link.Read(make([]byte, 99))
				link.Close()
			}
		}(i)
	}
	waiting.Wait()
	fmt.Println("survived")
}

func main() {
	switch words := os.Args[1:]; words[0] {
	case "srv":
		srv(words[1])
	case "udp":
		udp(net.JoinHostPort(words[1], words[2]))
	case "listen":
		listen(net.JoinHostPort(words[1], words[2]))
	case "get":
		get(words[1])
	case "fork":
		check(child("get", words[1]).Run())
	case "pass":
		pass(net.JoinHostPort(words[1], words[2]))
	case "take":
		take()
	case "chaos":
		chaos(words[1:])
	}
}
