#!/bin/sh
# What the tree is built from, for mm --version: the commit, and for sources that were edited ".changed-" and the first
# digits of a hash of the edits, so that two edits of one commit are two programs. Sources of which git knows nothing, as
# those of an archive, are told by a checksum of them all. version.sh SOURCE COMMIT: COMMIT is an archive's, or unknown.
set -eu
cd "$1"
known=$2
parts='meson.build meson_options.txt src include tools'

# A repository around this one is not asked, nor what its user likes to see.
GIT_DIR=$PWD/.git GIT_WORK_TREE=$PWD
export GIT_DIR GIT_WORK_TREE

first_digits() { cksum | awk '{ printf "%08x", $1 }'; }

untracked() {
    git -c core.quotePath=off ls-files --others --exclude-standard -- src include tools | grep -E '\.(c|h|in|build)$' |
        while IFS= read -r file; do echo "$file" && cat "$file"; done
}

edits() {
    # shellcheck disable=SC2086
    git diff-index -p --full-index --binary --no-renames --no-ext-diff --no-textconv HEAD -- $parts
    untracked
}

if ! commit=$(git rev-parse --verify --short=12 HEAD 2>/dev/null); then
    # shellcheck disable=SC2086
    tree=$(find $parts -type f \( -name '*.[ch]' -o -name '*.in' -o -name 'meson*' \) | LC_ALL=C sort |
        tr '\n' '\0' | xargs -0 cat | first_digits)
    echo "$known.tree-$tree"
    exit
fi
git update-index -q --refresh >/dev/null 2>&1 || : # a file that was only touched is no edit
found=$(edits)
echo "$commit${found:+.changed-$(printf %s "$found" | first_digits)}"
