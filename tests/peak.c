// peak FILE PROGRAM ARGUMENT...: runs the program and writes the most memory it had, in KiB, to FILE.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 99;
    pid_t child = fork();
    if (child < 0) return 99;
    if (!child) {
        execv(argv[2], argv + 2);
        _exit(99);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) return 99;
    FILE *file = fopen(argv[1], "w");
    if (!file || fprintf(file, "%ld\n", usage.ru_maxrss) < 0 || fclose(file)) return 99; // KiB on Linux
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
