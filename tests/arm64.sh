#!/bin/sh
# The bits on another CPU: builds mm and its unit tests with Debian's arm64 cross compiler and runs them under qemu-user;
# then the golden run, which must give the hashes that x86-64 gave. Usage: arm64.sh [BUILD]
# What it needs it fetches: Debian's cross compiler and qemu with apt-get (as root; else it names the packages and exits
# 77), the arm64 libraries into a system root of its own, so that the machine's own packages stay of one architecture.
# These are kept in $MM_ARM64_CACHE, else ${XDG_CACHE_HOME:-~/.cache}/mm-arm64; BUILD is CACHE/build if not given.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
cache=${MM_ARM64_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mm-arm64}
build=${1:-$cache/build}
root=$cache/sysroot
cross=aarch64-linux-gnu
libraries='libc6 libc6-dev linux-libc-dev libgcc-s1 libgomp1 zlib1g zlib1g-dev libjansson4 libjansson-dev libpcre2-8-0
    libpcre2-dev libutf8proc2 libutf8proc-dev libxxhash0 libxxhash-dev libcmocka0 libcmocka-dev libblis4-openmp libblis-openmp-dev'
unset CC CFLAGS CPPFLAGS LDFLAGS PKG_CONFIG_PATH PKG_CONFIG_LIBDIR

need() {
    command -v "$1" >/dev/null || missing="$missing $2"
}

find_tools() {
    missing=
    need $cross-gcc gcc-$cross
    need qemu-aarch64 qemu-user
    need meson meson
    need ninja ninja-build
    need pkg-config pkgconf
}

find_tools
if [ -n "$missing" ] && [ "$(id -u)" = 0 ]; then
    apt-get update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
    find_tools
fi
if [ -n "$missing" ]; then
    echo "skipped: these packages are missing; as root: apt-get install$missing"
    exit 77
fi

# apt-get for arm64 with state of its own; its keys, proxies and Debian's address are the machine's.
apt_arm64() {
    list=/etc/apt/sources.list.d/debian.sources
    [ -f $list ] || list=/etc/apt/sources.list
    apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)" \
        -o Dir::State="$fresh/apt" -o Dir::State::status="$fresh/apt/status" -o Dir::Cache="$fresh/apt" \
        -o Dir::Etc::sourcelist=$list -o Dir::Etc::sourceparts=/dev/null -o Acquire::Languages=none "$@"
}

# Links of the packages that lead to /lib... would leave the system root.
keep_links_inside() {
    find "$1" -type l -lname '/*' | while IFS= read -r link; do
        ln -sfn "$1$(readlink "$link")" "$link"
    done
}

# Made aside and renamed, so that one that is there is whole. The links name its final place.
make_root() {
    fresh=$(mktemp -d "$cache/fresh-XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    mkdir -p "$fresh/apt/lists/partial" "$fresh/apt/archives/partial" "$fresh/debs" "$fresh/root"
    : >"$fresh/apt/status"
    apt_arm64 update
    # shellcheck disable=SC2086
    (cd "$fresh/debs" && apt_arm64 download $libraries)
    for package in "$fresh"/debs/*.deb; do dpkg -x "$package" "$fresh/root"; done
    echo "$libraries" >"$fresh/root/packages"
    rm -rf "$root"
    mv "$fresh/root" "$root"
    keep_links_inside "$root"
    rm -rf "$fresh"
    trap - EXIT
}

mkdir -p "$cache"
if [ "$(cat "$root/packages" 2>/dev/null)" != "$libraries" ]; then make_root; fi

if [ ! -f "$build/build.ninja" ]; then
    mkdir -p "$build"
    cat >"$build/cross.ini" <<END
[binaries]
c = '$cross-gcc'
ar = '$cross-ar'
strip = '$cross-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64', '-L', '$root']
[built-in options]
c_args = ['--sysroot=$root']
c_link_args = ['--sysroot=$root']
[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/$cross/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'cortex-a57'
endian = 'little'
END
    meson setup --cross-file "$build/cross.ini" "$build" "$source"
fi
# Arithmetic and random numbers against their committed hashes, and where chars or sizes may differ.
tests='adamw attention attention_query bias cross_entropy dropout embedding gemm gemv half hash json kernels mathfn
    model pack par reduce rmsnorm rng rope safetensors schedule streams swiglu text tokenizer'
targets=$(for test in $tests; do echo "tests/test_$test"; done)
# shellcheck disable=SC2086
nice ninja -C "$build" tools/mm $targets
# The emulator is slow.
# shellcheck disable=SC2086
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 10 --num-processes 2 $tests

QEMU_LD_PREFIX=$root "$source/tests/golden_run.sh" "$source/tests/golden/run.txt" "$build/tools/mm" qemu-aarch64
