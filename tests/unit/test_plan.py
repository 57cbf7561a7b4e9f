"""What is decided before anything is changed: each refusal, and the plan itself."""

import dataclasses
from pathlib import Path

import pytest

from telepresence import __version__, cli
from telepresence.errors import ClusterError, MethodError, TelepresenceError, UsageError
from telepresence.plan import image_name, make_plan
from telepresence.rights import rights
from telepresence.values import Facts, Mounting, Options, Plan, Port, Target, Workload

OPTIONS = cli.parse(
    ["-m", "inject-tcp", "--logfile", "-", "--run", "curl", "-s", "http://helloworld"]
)
RIGHTS = rights(OPTIONS, None)
FACTS = Facts(
    context="east",
    namespace="prod",
    server="https://203.0.113.1:6443",
    needed=RIGHTS,
    denied=(),
    kubectl="/usr/bin/kubectl",
    direct=True,
    program="/usr/bin/curl",
    shell="/bin/zsh",
    shim=Path("/opt/shim.so"),
    shim_exists=True,
    supervisor=Path("/opt/supervisor"),
    environ={"SHELL": "/bin/zsh", "PASSWORD": "hunter2"},
)
SESSION, SECRET = bytes(range(16)), bytes(range(100, 132))


def plan(options: Options = OPTIONS, facts: Facts = FACTS) -> Plan:
    return make_plan(options, facts, session=SESSION, secret=SECRET)


def test_a_plan_has_all_that_the_rooms_need() -> None:
    made = plan()
    assert (made.context, made.namespace, made.kubectl) == ("east", "prod", "/usr/bin/kubectl")
    assert (made.session, made.secret, made.method) == (SESSION, SECRET, "inject-tcp")
    assert (made.program, made.argv, made.is_shell) == ("/usr/bin/curl", OPTIONS.command, False)
    assert (made.shim, made.environ) == (FACTS.shim, FACTS.environ)


def test_without_a_command_the_users_shell_is_run() -> None:
    made = plan(dataclasses.replace(OPTIONS, command=()), dataclasses.replace(FACTS, program=None))
    assert (made.program, made.argv, made.is_shell) == ("/bin/zsh", ("/bin/zsh",), True)


def test_a_pod_has_the_name_that_was_asked_for_or_one_of_its_session() -> None:
    named = dataclasses.replace(OPTIONS, new_deployment="quickstart")
    assert plan(named).pod_name == "quickstart"
    assert plan().pod_name == "telepresence-000102030405"


def test_a_plan_shows_neither_the_secret_nor_the_environment() -> None:
    shown = repr(plan()) + repr(FACTS)
    assert repr(SECRET) not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("environ", "image"),
    [
        ({}, f"telepresence-agent:{__version__}"),
        ({"TELEPRESENCE_REGISTRY": ""}, f"telepresence-agent:{__version__}"),
        ({"TELEPRESENCE_VERSION": ""}, f"telepresence-agent:{__version__}"),
        ({"TELEPRESENCE_REGISTRY": "r:5000/x"}, f"r:5000/x/telepresence-agent:{__version__}"),
        ({"TELEPRESENCE_REGISTRY": "r:5000/x/"}, f"r:5000/x/telepresence-agent:{__version__}"),
        ({"TELEPRESENCE_VERSION": "edge"}, "telepresence-agent:edge"),
        (
            {"TELEPRESENCE_REGISTRY": "r", "TELEPRESENCE_VERSION": "edge"},
            "r/telepresence-agent:edge",
        ),
    ],
)
def test_the_image_follows_registry_and_version(environ: dict[str, str], image: str) -> None:
    assert image_name(OPTIONS, environ) == image
    assert plan(facts=dataclasses.replace(FACTS, environ=environ)).image == image
    assert image_name(dataclasses.replace(OPTIONS, image="mine:1"), environ) == "mine:1"


def test_a_command_that_is_not_there_is_refused_with_its_name() -> None:
    with pytest.raises(TelepresenceError, match=r"^curl: command not found$") as caught:
        plan(facts=dataclasses.replace(FACTS, program=None))
    assert caught.value.exit_code == 255
    assert "nothing has been changed" in caught.value.hint


def test_kubectl_is_missed_only_where_the_api_server_cannot_be_reached_directly() -> None:
    alone = dataclasses.replace(FACTS, kubectl=None)
    assert plan(facts=alone).kubectl is None
    with pytest.raises(MethodError, match=r"kubectl or oc, and neither is in your \$PATH"):
        plan(facts=dataclasses.replace(alone, direct=False))


def test_a_missing_shim_is_refused_with_its_path() -> None:
    with pytest.raises(MethodError, match=r"/opt/shim\.so is missing"):
        plan(facts=dataclasses.replace(FACTS, shim_exists=False))


def test_missing_rights_are_refused_with_a_role_to_copy() -> None:
    with pytest.raises(ClusterError) as caught:
        plan(facts=dataclasses.replace(FACTS, denied=(RIGHTS[0], RIGHTS[-1])))
    assert str(caught.value) == (
        "you may not create pods, create pods/portforward in namespace prod of context east"
    )
    pods = '["create", "get", "list", "watch", "delete"]'
    assert caught.value.hint.splitlines()[1:] == [
        f'  - {{apiGroups: [""], resources: ["pods"], verbs: {pods}}}',
        '  - {apiGroups: [""], resources: ["pods/log"], verbs: ["get"]}',
        '  - {apiGroups: [""], resources: ["pods/portforward"], verbs: ["create"]}',
    ]


BLOCKED = "this kernel does not allow seccomp user notification"


def engines(inject: str, **facts: object) -> tuple[Path | None, Path | None, tuple[str, ...]]:
    made = plan(
        dataclasses.replace(OPTIONS, inject=inject),
        dataclasses.replace(FACTS, **facts),  # type: ignore[arg-type] # any of Facts' fields
    )
    return made.shim, made.supervisor, made.notes


@pytest.mark.parametrize("closed", ["", "a static program"])
def test_auto_takes_the_shim_and_the_supervisor_whatever_the_command(closed: str) -> None:
    both = (FACTS.shim, FACTS.supervisor, ())
    assert engines("auto", program_closed=closed) == both
    assert engines("seccomp", program_closed=closed) == (None, FACTS.supervisor, ())
    assert engines("seccomp", shim_exists=False)[0] is None


def test_a_kernel_without_notifications_is_told_of_before_the_start() -> None:
    shim, supervisor, notes = engines("auto", no_supervisor=BLOCKED)
    assert (shim, supervisor, len(notes)) == (FACTS.shim, None, 1)
    assert BLOCKED in notes[0]
    assert engines("preload") == (FACTS.shim, None, ())


@pytest.mark.parametrize("inject", ["auto", "preload"])
def test_a_command_that_nothing_could_carry_is_refused_with_the_ways_around(inject: str) -> None:
    with pytest.raises(MethodError, match=r"^curl is a Go program, which .* enter") as caught:
        engines(inject, program_closed="a Go program", no_supervisor=BLOCKED)
    for way in ("vpn-tcp", "gccgo", "GODEBUG=netdns=cgo"):
        assert way in caught.value.hint


@pytest.mark.parametrize("inject", ["auto", "preload", "seccomp"])
def test_a_32_bit_command_is_refused_beforehand(inject: str) -> None:
    with pytest.raises(MethodError, match=r"^curl is a 32-bit program, .* can carry$") as caught:
        engines(inject, program_closed="a 32-bit program")
    assert "vpn-tcp" in caught.value.hint


@pytest.mark.parametrize("inject", ["auto", "preload", "seccomp"])
@pytest.mark.parametrize("path", [None, "/bin/ping"])
def test_what_has_a_substitute_is_never_refused(inject: str, path: str | None) -> None:
    """The real ping has capabilities of its own, and may not even be there."""
    made = plan(
        dataclasses.replace(OPTIONS, inject=inject, command=("ping", "redis")),
        dataclasses.replace(
            FACTS, program=path, program_closed="a program with capabilities of its own"
        ),
    )
    assert (made.program, made.argv) == ("ping", ("ping", "redis"))


def test_seccomp_alone_needs_its_kernel() -> None:
    with pytest.raises(MethodError, match=BLOCKED):
        engines("seccomp", no_supervisor=BLOCKED)


def test_files_of_the_environment_are_refused_before_anything_is_changed() -> None:
    fault = "gone/env.json: there is no directory gone"
    with pytest.raises(UsageError, match=r"^cannot write gone/env\.json: there is no directory"):
        plan(facts=dataclasses.replace(FACTS, unwritable=(fault,)))
    with pytest.raises(UsageError, match="--env-syntax is for --env-file"):
        plan(dataclasses.replace(OPTIONS, env_syntax="sh"))


def test_a_plan_has_the_environments_options() -> None:
    made = plan(cli.parse(["--env-include", "A", "--env-exclude", "B", "--env-json", "j",
                           "--env-file", "f", "--env-syntax", "sh", "--run", "true"]))  # fmt: skip
    assert (made.env_include, made.env_exclude) == (("A",), ("B",))
    assert (made.env_json, made.env_file, made.env_syntax) == ("j", "f", "sh")


WORKLOAD = Workload(
    kind="Deployment", name="web", path="/apis/apps/v1/namespaces/prod/deployments/web",
    plural="deployments", group="apps", uid="u", version="1", replicas=2, selector="app=web",
    template={"spec": {"containers": [
        {"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        {"name": "side", "volumeMounts": [{"name": "data", "mountPath": "/opt/"}]},
    ]}},
)  # fmt: skip


def swap(container: str | None, *, name: str = "web") -> Plan:
    target = Target(kind=None, name=name, container=container)
    return plan(
        dataclasses.replace(OPTIONS, swap_deployment=target, serviceaccount="robot"),
        dataclasses.replace(
            FACTS, workload=dataclasses.replace(WORKLOAD, name=name), user="ann@here", now="then"
        ),
    )


def test_a_swap_is_of_the_first_container_or_the_named_one() -> None:
    made = swap(None)
    assert (made.container, made.pod_name) == ("app", "web-000102030405")
    assert (made.user, made.since, made.serviceaccount) == ("ann@here", "then", "robot")
    assert made.workload == WORKLOAD
    with pytest.raises(UsageError, match="has no container x") as caught:
        swap("x")
    assert caught.value.hint == "it has: app, side"


def test_a_pods_name_fits_a_host_name_whatever_the_workloads() -> None:
    assert swap(None, name="a" * 300).pod_name == "a" * 50 + "-000102030405"
    assert swap(None, name="a" * 49 + "-b").pod_name == "a" * 49 + "-000102030405"


def test_a_volume_that_would_hide_the_agent_is_refused() -> None:
    with pytest.raises(ClusterError, match="mounts volume data at /opt/, where the agent"):
        swap("side")


def test_volumes_are_mounted_where_fuse_is() -> None:
    assert plan().mount == Mounting(mode="fuse")
    assert plan(cli.parse(["--mount", "false", "--run", "x"])).mount == Mounting(mode="none")


NO_FUSE = dataclasses.replace(FACTS, no_fuse="there is no sshfs on this machine")


def test_without_fuse_the_command_runs_without_volumes_and_hears_of_it() -> None:
    made = plan(facts=NO_FUSE)
    assert made.mount == Mounting(mode="none")
    assert made.notes[-1] == (
        "no volumes: there is no sshfs on this machine; --mount copy does without, --mount false "
        "keeps silent"
    )
    assert plan(cli.parse(["--mount", "false", "--run", "x"]), NO_FUSE).notes == ()


@pytest.mark.parametrize("place", ["true", "/mnt"])
def test_volumes_that_were_asked_for_are_refused_without_fuse(place: str) -> None:
    asked = cli.parse(["--mount", place, "--run", "x"])
    with pytest.raises(MethodError, match="volumes cannot be mounted: there is no sshfs") as caught:
        plan(asked, NO_FUSE)
    assert "--mount false" in caught.value.hint


def test_copies_need_no_fuse_and_a_disk_is_told_of() -> None:
    asked = cli.parse(["--mount", "copy", "--volumes-at-real-paths", "--run", "x"])
    facts = dataclasses.replace(NO_FUSE, memory=Path("/run/user/1"))
    made, place = plan(asked, facts), Path("/run/user/1/telepresence-000102030405-volumes")
    assert made.mount == Mounting(mode="copy", path=place, is_required=True)
    assert made.notes == ()
    (note,) = plan(asked, dataclasses.replace(NO_FUSE, environ={"TMPDIR": "/t"})).notes
    assert note.startswith(f"the volumes, secrets too, are copied to the disk, in /t/{place.name}")


def test_a_bad_place_for_the_volumes_is_refused() -> None:
    taken = dataclasses.replace(FACTS, no_mount="/mnt: something is mounted there")
    with pytest.raises(MethodError, match=r"^cannot mount on /mnt: something is mounted there$"):
        plan(cli.parse(["--mount", "/mnt", "--run", "x"]), taken)


def test_real_paths_are_refused_where_they_cannot_be() -> None:
    asked = cli.parse(["--volumes-at-real-paths", "--run", "x"])
    assert plan(asked).volumes_at_real_paths
    barred = dataclasses.replace(FACTS, no_namespace="this kernel allows no user namespace")
    for facts, why in ((barred, "no user namespace"), (NO_FUSE, "no sshfs")):
        with pytest.raises(MethodError, match=f"at their own paths: .*{why}"):
            plan(asked, facts)
    with pytest.raises(UsageError, match="needs the volumes, which --mount leaves out"):
        plan(dataclasses.replace(asked, mount=Mounting(mode="none")))


def exposing(*words: str, version: tuple[int, int] = (1, 28), openshift: bool = False) -> Plan:
    options = cli.parse([*words, "--run", "curl"])
    seen = dataclasses.replace(FACTS, server_version=version, is_openshift=openshift)
    return plan(options, seen)


def test_exposed_ports_are_those_asked_for_and_ready_only_for_a_swap() -> None:
    made = exposing("--expose", "8080:81", "--from-pod", "7", "--to-pod", "8")
    assert made.expose == (Port(laptop=8080, pod=81),)
    assert (made.from_pod, made.to_pod) == ((7,), (8,))
    assert not made.ready_when_listening
    assert exposing("--expose", "1025", "--ready-when-listening").ready_when_listening
    assert not exposing("--ready-when-listening").ready_when_listening, "there is no port"


@pytest.mark.parametrize("port", ["9040", "9041", "9050"])
def test_the_agents_own_ports_are_refused(port: str) -> None:
    with pytest.raises(UsageError, match=f"port {port} of the pod is the agent's own"):
        exposing("--expose", f"80:{port}")
    assert exposing("--expose", f"{port}:80").expose


def test_ports_below_1024_by_what_the_server_allows() -> None:
    assert exposing("--expose", "80:8080").low_ports == ""
    assert exposing("--expose", "8080:80").low_ports == "sysctl"
    assert exposing("--expose", "8080:80", version=(1, 21)).low_ports == "root"
    assert exposing("--from-pod", "80", version=(1, 21)).low_ports == "root"
    with pytest.raises(ClusterError, match="OpenShift does not support ports below 1024"):
        exposing("--expose", "8080:80", openshift=True)


def test_the_default_method_without_root_says_in_one_line_what_to_do() -> None:
    options = cli.parse(["--run", "curl"])
    facts = dataclasses.replace(FACTS, may_root=False)
    with pytest.raises(MethodError, match="no sudo; run with -m inject-tcp") as caught:
        plan(options, facts)
    assert "\n" not in str(caught.value)
    assert not caught.value.hint
    assert plan(facts=facts).method == "inject-tcp"
    assert plan(options).method == "vpn-tcp"
