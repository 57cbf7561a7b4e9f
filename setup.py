"""Build what is not Python: the engine (Cython and C), its doorways, and the shim (CMake).

One wheel serves both sides: the laptop's command and the agent in the pod."""

import shutil
import subprocess
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
ENGINE = "src/_fastpath"
SHIM = "libtelepresence-preload.so"
SUPERVISOR = "telepresence-supervisor"
# What CMake builds: its target, where that lies in the build, and the package that looks for it.
PROGRAMS = (
    ("telepresence-preload", f"preload/{SHIM}", "method"),
    (SUPERVISOR, f"supervisor/{SUPERVISOR}", "method"),
    ("telepresence-reaper", "reaper/telepresence-reaper", ""),
    ("telepresence-sftp", "sftp/telepresence-sftp", "volumes"),
    ("telepresence-realpaths", "realpaths/telepresence-realpaths", "volumes"),
    ("telepresence-proot", "realpaths/telepresence-proot", "method"),
    ("telepresence-refuse", "sftp/libtelepresence-refuse.so", "volumes"),
    ("telepresence-anyuid", "sftp/libtelepresence-anyuid.so", "agent"),
)

# Strict warnings are the CMake build's part: Cython's output does not meet them.
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-fvisibility=hidden", "-pthread"]


def sources(*names: str) -> list[str]:
    return [f"{ENGINE}/{name}" for name in names]


# The way to the API server needs OpenSSL, which the agent's image is without.
APISERVER_C = ["carrier_api.c", "spdy.c"]
ENGINE_C = sorted({path.name for path in (HERE / ENGINE).glob("*.c")} - set(APISERVER_C))


class BuildExt(build_ext):
    """The extensions, and the programs and libraries, where the package looks for them."""

    def run(self) -> None:
        super().run()
        top = Path("src" if self.inplace else self.build_lib) / "telepresence"
        if sys.platform == "darwin":  # no CMake, no seccomp to supervise with
            (top / "method").mkdir(parents=True, exist_ok=True)
            made = top / "method" / "libtelepresence-preload.dylib"
            subprocess.run([sys.executable, HERE / "preload" / "dylib.py", made], check=True)
            (top / "volumes").mkdir(parents=True, exist_ok=True)
            relay = top / "volumes" / "telepresence-sftp"
            subprocess.run([sys.executable, HERE / "sftp" / "macos.py", relay], check=True)
            return
        build = HERE / "build" / "cmake"
        configure = ["cmake", "-S", HERE, "-B", build, "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
        subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
        targets = [target for target, _, _ in PROGRAMS]
        subprocess.run(["cmake", "--build", build, "--target", *targets], check=True)
        for _, built, package in PROGRAMS:
            place = top / package / Path(built).name
            place.parent.mkdir(parents=True, exist_ok=True)
            # Not over it: the old one may be running (execve(2), ETXTBSY).
            place.unlink(missing_ok=True)
            shutil.copy2(build / built, place)


engine = Extension(
    "_fastpath.engine",
    sources("engine.pyx", *ENGINE_C),
    include_dirs=[ENGINE],
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
)
codec = Extension(
    "_fastpath.codec",
    sources("codec.pyx", "mux.c", "frame.c", "spdy.c"),
    include_dirs=[ENGINE],
    extra_compile_args=FLAGS,
)

apiserver = Extension(
    "_fastpath.apiserver",
    sources("apiserver.pyx", *APISERVER_C),
    include_dirs=[ENGINE],
    libraries=["ssl", "crypto"],
    extra_compile_args=FLAGS,
)

for extension in (engine, codec, apiserver):
    extension.depends += sorted(map(str, Path(ENGINE).glob("*.h")))

setup(
    ext_modules=cythonize(
        [engine, codec, apiserver], build_dir="build/cython", include_path=["src"]
    ),
    cffi_modules=["preload/ffi.py:ffi"],
    cmdclass={"build_ext": BuildExt},
)
