#!/usr/bin/env bash
# A wrong include does not build: each folder's sources are compiled with the include folders that meson gives them, so
# a header of a folder that they may not use is not found. house_build.sh BUILD ROOT COMPILER...
set -u
# shellcheck source=tests/permitted.sh
. "${0%/*}/permitted.sh"
build=$1 root=$2
shift 2
failed=0

# The include folders that the file is compiled with.
roots_of() {
    grep -B1 -F "\"file\": \"$1\"" "$build/compile_commands.json" | grep -m1 '"command"' |
        grep -oE -- '/roots/[a-z]+' | sed "s|^|-I$(cd "$build" && pwd)|"
}

# probe PART SOURCE: asks for one header of each folder.
probe() {
    local part=$1 file flags folder header
    file=$(grep -m1 -oE "\"file\": \"[^\"]*/$2\"" "$build/compile_commands.json" | cut -d'"' -f4)
    mapfile -t flags < <(roots_of "$file")
    if [ ${#flags[@]} -eq 0 ]; then
        printf '%s: no command compiles %s\n' "$part" "$2"
        failed=1
        return
    fi
    for folder in base files data ops model rank optim record run; do
        header=$(cd "$root/include" && find "mm/$folder" -name '*.h' | LC_ALL=C sort | head -n 1)
        printf '#if __has_include(<%s>)\nyes\n#else\nno\n#endif\n' "$header" >"$scratch/probe.c"
        seen=$("${compiler[@]}" "${flags[@]}" -E -P "$scratch/probe.c" | tr -d '[:space:]')
        expected=no
        for allowed in $(permitted "$part"); do [ "$allowed" = "$folder" ] && expected=yes; done
        [ "$seen" = "$expected" ] && continue
        printf '%s: is <%s> found? expected %s, found %s\n' "$part" "$header" "$expected" "$seen"
        failed=1
    done
}

compiler=("$@")
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
probe base src/base/arena.c
probe files src/files/publish.c
probe data src/data/plan.c
probe ops src/ops/gemm.c
probe model src/model/model.c
probe rank src/rank/streams.c
probe optim src/optim/clip.c
probe record src/record/run.c
probe run src/train.c
probe tools tools/main.c
# What lets a compiler change sums is refused, by meson and by the sources.
for flag in -ffast-math -fno-signed-zeros; do
    rm -rf "$scratch/loose"
    if CFLAGS=$flag meson setup "$scratch/loose" "$root" >"$scratch/said" 2>&1 || ! grep -q "CFLAGS have $flag" "$scratch/said"; then
        printf 'CFLAGS=%s: expected to be refused\n' "$flag"
        failed=1
    fi
done
"${compiler[@]}" -E "$root/include/mm/base/mathfn.h" >"$scratch/said" 2>&1 || { printf 'mathfn.h alone: %s\n' "$(head -n 3 "$scratch/said")" && failed=1; }
if "${compiler[@]}" -Ofast -I"$root/include" -E "$root/include/mm/base/mathfn.h" >"$scratch/said" 2>&1; then
    printf 'mathfn.h with -Ofast: expected an error\n'
    failed=1
fi
[ "$failed" -eq 0 ] && echo "every folder finds the headers that it may use, and no other"
exit "$failed"
