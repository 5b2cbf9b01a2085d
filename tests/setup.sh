#!/usr/bin/env bash
# tools/setup, with stand-ins for apt, meson, ninja and mm that write down how they were called. setup.sh ROOT
set -u
root=$1
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
failed=0
calls=$folder/calls

fail() {
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# stub NAME: the commands on standard input, after it has noted the call.
stub() {
    { printf '#!/bin/sh\necho "%s $*" >>"%s"\n' "$1" "$calls"; cat; } >"$folder/bin/$1"
    chmod +x "$folder/bin/$1"
}

# A checkout, and a machine of which setup sees only the stand-ins and the plainest tools.
prepare() {
    rm -rf "${folder:?}/bin" "$folder/tree"
    mkdir -p "$folder/bin" "$folder/tree/tools" "$folder/tree/data" "$folder/texts"
    cp "$root/tools/setup" "$folder/tree/tools/"
    local tool
    for tool in sh cat cut tr dirname mkdir mv rm ln tail; do ln -s "$(command -v "$tool")" "$folder/bin/$tool"; done
    printf 'a\n%%\nb\n' | tee "$folder/texts/one" "$folder/texts/one.dat" "$folder/texts/two" >/dev/null
    stub id <<<'echo 0'
    stub cc <<<''
    stub pkg-config <<<''
    stub dpkg-query <<<"for p; do :; done; grep -qx \"\$p\" '$folder/absent' && exit 1; echo installed; echo installed" # of two architectures
    stub apt-cache <<<''
    stub apt-get <<<''
    stub ninja <<'END'
mkdir -p build/tools
cat >build/tools/mm <<'MM'
#!/bin/sh
echo "mm $*" >>"$CALLS"
[ "$1" = inspect ] && { [ -f "$2/dataset.json" ]; exit; }
[ -f fail-pack ] && [ "$1" = pack ] && exit 2
while [ $# -gt 0 ]; do
    case $1 in --out) out=$2 ;; esac
    shift
done
case $out in *.json) echo >"$out" ;; *) mkdir "$out" && echo >"$out/dataset.json" ;; esac
MM
chmod +x build/tools/mm
END
    stub meson <<<'mkdir -p build && echo >build/build.ninja'
    ln -s "$(command -v grep)" "$folder/bin/grep"
    ln -s "$(command -v chmod)" "$folder/bin/chmod"
    : >"$folder/absent"
}

# setup ARGUMENT...: said holds both streams, calls the calls of this run.
setup() {
    : >"$calls"
    (cd "$folder" && PATH=$folder/bin CALLS=$calls MM_FORTUNES=$folder/texts tree/tools/setup "$@") >"$folder/said" 2>&1
    status=$?
}
called() { grep -qE -- "$1" "$calls"; }
said() { grep -qE -- "$1" "$folder/said"; }

# Everything is there: nothing is installed, the build and the data are made, and not made twice.
prepare
setup
[ "$status" = 0 ] || fail "all there: exit $status: $(cat "$folder/said")"
called '^apt-get' && fail "all there: apt-get was called"
called '^meson setup build --buildtype=release' || fail "meson was not called"
called "^mm pack .*--val-share 0.01 .*/one $folder/texts/two\$" || fail "packed something else: $(grep pack "$calls")"
[ -x "$folder/tree/mm" ] || fail "no ./mm"
[ -f "$folder/tree/data/default/dataset.json" ] || fail "no data/default"
setup
[ "$status" = 0 ] || fail "again: exit $status"
called '^meson' && fail "again: meson was called"
called '^mm (pack|tokenizer)' && fail "again: the data were made twice"
setup --force-data
called '^mm pack' || fail "--force-data made nothing"
[ -f "$folder/tree/data/default.old/dataset.json" ] || fail "--force-data lost the old data"

# A build that a copy of the checkout brought along is of the other's paths.
mkdir -p "$folder/tree/build/roots/base/mm/base" "$folder/tree/include/mm/base"
setup
called '^meson setup --wipe build' || fail "a copied build was taken for this place's"
rm -r "$folder/tree/build/roots/base/mm/base" && ln -s "$folder/tree/include/mm/base" "$folder/tree/build/roots/base/mm/base"
setup
called '^meson' && fail "this place's build was taken for another's"

# Stopped half-way: no half data, and the next one makes them.
prepare
: >"$folder/tree/fail-pack"
setup
[ "$status" = 0 ] && fail "a failed pack: exit 0"
[ -z "$(ls -A "$folder/tree/data")" ] || fail "a failed pack left $(ls -A "$folder/tree/data")"
rm "$folder/tree/fail-pack"
mkdir "$folder/tree/data/.default.tmp-1"
setup
[ "$status" = 0 ] || fail "after a failure: exit $status"
[ "$(ls -A "$folder/tree/data")" = default ] || fail "after a failure there is $(ls -A "$folder/tree/data")"

# --no-data makes none and needs no text.
prepare
echo fortunes >"$folder/absent"
setup --no-data
[ "$status" = 0 ] || fail "--no-data: exit $status"
called '^apt-get' && fail "--no-data: apt-get was called"
[ -e "$folder/tree/data/default" ] && fail "--no-data made data"

# One package is missing: it alone is installed, with its reason; lists are fetched only when they lack it.
prepare
echo libjansson-dev >"$folder/absent"
setup --no-data
called '^apt-get .*install .* libjansson-dev$' || fail "not installed: $(cat "$calls")"
called '^apt-get .*update' && fail "the lists were fetched without need"
said 'installing libjansson-dev: .*JSON' || fail "no reason: $(cat "$folder/said")"
stub apt-cache <<<'exit 100'
setup --no-data
called '^apt-get .*update' || fail "the lists were not fetched"

# Not root: sudo, or what to run.
stub id <<<'echo 1000'
stub sudo <<<''
setup --no-data
called '^sudo .*apt-get .*install .* libjansson-dev$' || fail "not by sudo: $(cat "$calls")"
rm "$folder/bin/sudo"
setup --no-data
[ "$status" = 2 ] || fail "no sudo: exit $status"
said 'apt-get install libjansson-dev' || fail "no sudo: not said what to run: $(cat "$folder/said")"

# No apt: the packages are named, and it goes on if what they bring is there.
prepare
rm "$folder/bin/apt-get"
setup --no-data
[ "$status" = 0 ] || fail "no apt: exit $status: $(cat "$folder/said")"
said 'no apt-get here.*libblis-openmp-dev.*libpcre2-dev' || fail "no apt: packages not named: $(cat "$folder/said")"
stub pkg-config <<<'[ "$2" != jansson ]'
setup --no-data
[ "$status" = 2 ] || fail "no apt and no jansson: exit $status"
said 'jansson' || fail "no apt: jansson not named: $(cat "$folder/said")"
stub pkg-config <<<'[ "$2" != blis ]'
setup --no-data
[ "$status" = 0 ] || fail "no apt, BLIS for the compiler only: exit $status"
stub cc <<<'exit 1'
setup --no-data
[ "$status" = 2 ] || fail "no apt and no BLIS: exit $status"
said 'BLIS is there neither' || fail "no apt: BLIS not named: $(cat "$folder/said")"

# A build that fails is not linked.
prepare
stub ninja <<<'exit 1'
setup
[ "$status" = 2 ] || fail "a failed build: exit $status"
[ -e "$folder/tree/mm" ] && fail "a failed build was linked"
setup --nonsense
[ "$status" = 2 ] || fail "an unknown option: exit $status"
[ "$failed" = 0 ] && echo ok
exit "$failed"
