#!/usr/bin/env bash
# The house rules that a machine can see: who may include whom, each library in its one place, no order left to the
# compiler. house.sh ROOT checks the tree, then plants every offence in a copy and expects to see each named.
set -u
# shellcheck source=tests/permitted.sh
. "${0%/*}/permitted.sh"
root=$(cd "$1" && pwd) || exit 2
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

# Offences are printed as "RULE: FILE:LINE:TEXT". The functions below look at $bare, a copy of the tree without comments.
bare=
rule() { sed "s/^/$1: /"; }

# only RULE PATTERN PLACE: the pattern stands in no file whose path does not match PLACE.
only() { (cd "$bare" && grep -rnE --include='*.[ch]' -- "$2" src tools include) | grep -vE "^$3:" | rule "$1"; }

# part NAME FILE-OR-FOLDER...
part() {
    local allowed
    allowed=$(permitted "$1" | tr ' ' '|')
    shift
    (cd "$bare" && grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*(<mm/|"[^"]*/)' "$@") |
        grep -vE "<mm/($allowed)/" | rule include
}

check_includes() {
    local folder
    for folder in base files data ops model rank optim record; do
        part "$folder" "src/$folder" "include/mm/$folder"
    done
    part run-headers include/mm/run
    # Private headers of src are in quotes, beside their source.
    local top
    mapfile -t top < <(cd "$bare" && find src -maxdepth 1 -name '*.[ch]')
    part run "${top[@]}"
    part tools tools
}

check_libraries() {
    only OpenMP '#[[:space:]]*include <omp\.h>|#[[:space:]]*pragma omp|[^a-z_]omp_[a-z_]+\(' 'src/base/par\.c'
    only BLIS 'blis\.h|(^|[^a-z_])bli_[a-z]' 'src/ops/gemm\.c'
    only zlib '<zlib\.h>' 'src/files/bgzf[a-z_]*\.c'
    only Jansson '<jansson\.h>' 'src/files/json\.c'
    only PCRE2 '<pcre2\.h>' 'src/data/(tokenizer|pretokenize)[a-z_]*\.[ch]'
    only utf8proc '<utf8proc\.h>' 'src/data/normalize\.c'
    only xxHash '<xxhash\.h>' 'src/base/hash_kernels\.c'
    only MPI '<mpi\.h>|(^|[^A-Za-z_])MPI_[A-Z]' 'src/rank/transport_mpi\.c'
}

check_arithmetic() {
    local names='exp|exp2|exp10|expm1|log|log2|log10|log1p|sin|cos|sincos|tan|pow|sinh|cosh|tanh|asin|acos|atan|atan2'
    names="$names|erf|erfc|cbrt|hypot|tgamma|lgamma"
    only libm "(^|[^A-Za-z0-9_])($names)[fl]?[[:space:]]*\\(" '(src|include/mm)/base/mathfn\.[ch]'
    (cd "$bare" && grep -rnE 'ffast-math|Ofast|funsafe-math|fassociative-math|reduction[[:space:]]*\(|omp[a-z ]* simd|ffp-contract=(fast|on)' \
        meson.build src tools include) | rule order
}

# Of the tree itself, comments and all.
check_state() {
    (cd "$1" && find src include tools tests -name '*.[ch]' -exec wc -l {} +) |
        awk '$2 != "total" && $1 > 600 {print "length: " $2 ": " $1 " lines, at most 600"}'
    (cd "$1" && grep -rnwE --include='*.[ch]' 'TODO|FIXME|XXX' src include tools) | rule unfinished
}

# check TREE: prints its offences.
check() {
    bare=$scratch/bare
    rm -rf "$bare"
    mkdir "$bare"
    (cd "$1" && tar -cf - meson.build src include tools) | tar -xf - -C "$bare"
    find "$bare" -name '*.[ch]' -exec sed -i 's://.*::' {} +
    check_includes
    check_libraries
    check_arithmetic
    check_state "$1"
}

# plant RULE FILE LINE: the line goes to the end of the file, and must be named.
expected=()
plant() {
    printf '%s\n' "$3" >>"$tree/$2"
    expected+=("$1: $2:$(wc -l <"$tree/$2"):$3")
}

plant_all() {
    plant OpenMP src/ops/rmsnorm.c '#pragma omp parallel'
    plant OpenMP tools/main.c '#include <omp.h>'
    plant BLIS src/model/model.c '    bli_sgemm(0);'
    plant zlib src/data/pack.c '#include <zlib.h>'
    plant Jansson src/record/planted.c '#include <jansson.h>'
    plant PCRE2 src/data/pack.c '#include <pcre2.h>'
    plant utf8proc src/data/tokenizer_encode.c '#include <utf8proc.h>'
    plant xxHash src/files/publish.c '#include <xxhash.h>'
    plant MPI src/rank/reduce.c '    MPI_Init(0, 0);'
    plant include src/base/arena.c '#include <mm/files/json.h>'
    plant include src/ops/gemm.c '#include <mm/model/model.h>'
    plant include src/record/planted.c '#include <mm/data/dataset.h>'
    plant include tools/main.c '#include <mm/ops/gemm.h>'
    plant include include/mm/run/train.h '#include <mm/model/model.h>'
    plant include src/model/model.c '#include "../ops/build.h"'
    plant libm src/ops/rmsnorm.c 'double planted(double x) { return exp(x); }'
    plant libm src/optim/adamw.c 'float planted(float x) { return powf(x, 2); }'
    plant order src/meson.build "add_project_arguments('-ffast-math', language: 'c')"
    plant order src/base/par.c '#pragma omp parallel for reduction(+ : sum)'
    plant order src/ops/swiglu.c '#pragma omp simd'
    plant unfinished src/train.c "// TO""DO: the rest"
    yes // | head -n 601 >"$tree/src/long.c"
    expected+=("length: src/long.c: 601 lines, at most 600")
}

offences=$(check "$root")
if [ -n "$offences" ]; then
    printf '%s\n' "$offences"
    exit 1
fi
tree=$scratch/tree
mkdir "$tree"
(cd "$root" && tar -cf - meson.build src include tools tests/meson.build) | tar -xf - -C "$tree"
plant_all
check "$tree" >"$scratch/seen"
missed=0
for line in "${expected[@]}"; do
    grep -qxF -- "$line" "$scratch/seen" && continue
    printf 'planted, but not seen: %s\n' "$line"
    missed=1
done
[ "$missed" -eq 0 ] && echo "the tree keeps the house rules; ${#expected[@]} planted offences were seen"
exit "$missed"
