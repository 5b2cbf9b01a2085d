#!/bin/sh
# What the tree is built from, for mm --version: the commit, and for a tree that was edited ".changed-" and the first
# digits of a hash of the edits, so that two edits of one commit are two programs. version.sh SOURCE
set -e
cd "$1"
# A repository around this one is not asked.
GIT_DIR=$PWD/.git GIT_WORK_TREE=$PWD
export GIT_DIR GIT_WORK_TREE
commit=$(git describe --always --exclude='*' --abbrev=12 --dirty=.changed)
case $commit in
*.changed)
    edits=$({
        git diff --no-ext-diff --no-textconv --no-color HEAD -- meson.build meson_options.txt src include tools
        git ls-files --others --exclude-standard -z -- src include tools | xargs -0 -r cat
    } | git hash-object --stdin)
    commit=$commit-$(printf %.8s "$edits")
    ;;
esac
echo "$commit"
