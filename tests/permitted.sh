# Which of include/mm's folders each part of the program may include: the rule that house.sh and house_build.sh check.
permitted() {
    case $1 in
    base) echo base ;;
    files | ops | rank | optim) echo "$1 base" ;;
    data | record) echo "$1 files base" ;;
    model) echo "model ops files base" ;;
    run) echo "run record optim rank model ops data files base" ;;
    run-headers | tools) echo "run data record files base" ;; # tools see them, so they must find what they include
    esac
}
