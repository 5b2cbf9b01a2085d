// The launcher: every worker runs once whatever threads there are, under IEEE defaults; slices cover all; the
// system's limits are read as its documentation says.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "../src/base/limit.h"
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <mm/base/par.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

enum { MOST_WORKERS = 33 };

static void count(void *self, int worker) {
    ((int *)self)[worker]++;
} // each worker has its own

static void check_every_worker_runs_once(void) {
    // The largest first: LLVM's OpenMP runtime (14) loses memory of its own whenever a team becomes larger.
    for (int workers = MOST_WORKERS; workers >= 1; workers -= workers > 5 ? 7 : 1) {
        int calls[MOST_WORKERS + 1] = {0};
        mm_par_run(workers, count, calls);
        for (int w = 0; w <= MOST_WORKERS; w++) assert_int_equal(calls[w], w < workers);
    }
}

static void every_worker_runs_once(void **state) {
    (void)state;
    check_every_worker_runs_once();
}

static int count_threads(void) {
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    while (tasks && readdir(tasks)) count++;
    if (tasks) closedir(tasks);
    return count;
}

// Threads that went could not always be made again.
static void threads_stay(void **state) {
    (void)state;
    int calls[7] = {0};
    mm_par_run(7, count, calls);
    int before = count_threads();
    mm_par_run(2, count, calls);
    assert_int_equal(count_threads(), before);
    mm_par_run(1, count, calls);
    assert_int_equal(count_threads(), before);
    assert_true(calls[0] == 3 && calls[1] == 2 && calls[2] == 1);
}

static void run_inside(void *self, int worker) {
    (void)self, (void)worker;
    int calls[3] = {0};
    mm_par_run(3, count, calls);
    assert_true(calls[0] == 1 && calls[1] == 1 && calls[2] == 1);
}

static void a_worker_may_launch_workers(void **state) {
    (void)state;
    mm_par_run(2, run_inside, NULL);
}

// OpenMP reads its limit when the program starts: this program runs itself again with it.
static void every_worker_runs_once_on_fewer_threads(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        setenv("OMP_THREAD_LIMIT", "2", 1);
        setenv("OMP_DYNAMIC", "true", 1);
        execl("/proc/self/exe", "test_par", "--once", (char *)NULL);
        _exit(errno == ENOEXEC ? 77 : 127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip(); // an emulator cannot start a program of its kind
    assert_int_equal(WEXITSTATUS(status), 0);
}

// A team's workers pass a number on, turn by turn: nobody goes on before all have arrived, and each sees what
// the others wrote.
enum { TURNS = 500 };
typedef struct relay {
    int seen[MOST_WORKERS]; // in the turn
    int workers, wrong[MOST_WORKERS];
} relay;

static void run_relay(void *self, const mm_team *team, int worker) {
    relay *r = self;
    if (worker == 0) r->workers = team->workers;
    for (int turn = 1; turn <= TURNS; turn++) {
        r->seen[worker] = turn;
        mm_team_wait(team);
        for (int w = 0; w < team->workers; w++) r->wrong[worker] += r->seen[w] != turn;
        mm_team_wait(team);
    }
}

static void a_team_waits_for_all(void **state) {
    (void)state;
    const int sizes[] = {5, 3, 2, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        relay r = {{0}, 0, {0}};
        mm_par_team(sizes[i], run_relay, &r);
        assert_in_range(r.workers, 1, sizes[i]);
        for (int w = 0; w < MOST_WORKERS; w++) assert_int_equal(r.wrong[w], 0);
    }
}

// Parts are teams of their own: each counts its own turns, and every worker is in one.
typedef struct split_relay {
    int parts;
    atomic_int turns[8]; // of a part
    atomic_int wrong;
} split_relay;

static void run_parts(void *self, const mm_team *team, int worker) {
    split_relay *r = self;
    int parts = r->parts < team->workers ? r->parts : team->workers;
    for (int round = 0; round < 2; round++) {
        int mine = worker;
        mm_team part;
        int number = mm_team_split(team, round ? 1 : parts, &mine, &part);
        if (number < 0 || number >= parts || mine < 0 || mine >= part.workers) atomic_fetch_add(&r->wrong, 1);
        for (int turn = 1; turn <= 50; turn++) {
            atomic_fetch_add(&r->turns[number], 1);
            mm_team_wait(&part);
            if (atomic_load(&r->turns[number]) != turn * part.workers) atomic_fetch_add(&r->wrong, 1);
            mm_team_wait(&part);
        }
        mm_team_wait(team);
        if (worker == 0)
            for (int i = 0; i < 8; i++) atomic_store(&r->turns[i], 0);
        mm_team_wait(team);
    }
}

static void a_team_splits_into_parts(void **state) {
    (void)state;
    for (int workers = 8; workers >= 1; workers--)
        for (int parts = 1; parts <= workers; parts++) {
            split_relay r = {.parts = parts};
            mm_par_team(workers, run_parts, &r);
            assert_int_equal(atomic_load(&r.wrong), 0);
        }
}

static void run_team_inside(void *self, int worker) {
    (void)self, (void)worker;
    relay r = {{0}, 0, {0}};
    mm_par_team(3, run_relay, &r);
    assert_true(r.workers >= 1 && r.wrong[0] == 0);
}

static void a_worker_may_launch_a_team(void **state) {
    (void)state;
    mm_par_run(2, run_team_inside, NULL);
}

static bool environment_is_ieee(void) {
    volatile float smallest_normal = FLT_MIN, subnormal = FLT_TRUE_MIN, one = 1, tiny = 0x1p-30f;
    bool gradual = smallest_normal / 2 > 0 && subnormal * 2 > 0; // neither outputs nor inputs are flushed
    bool nearest = one + tiny == one && -one - tiny == -one && one - tiny == one;
    return gradual && nearest;
}

static void set_another_environment(void) {
    fesetround(FE_UPWARD);
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040); // flush-to-zero, denormals-are-zero
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | (uint64_t)1 << 24));
#endif
}

static void disturb(void *self, int worker) {
    ((int *)self)[worker] = environment_is_ieee();
    set_another_environment();
}

static void workers_start_with_ieee_defaults(void **state) {
    (void)state;
    set_another_environment();
    bool disturbed = !environment_is_ieee();
    mm_par_ieee();
    bool restored = environment_is_ieee();
    assert_true(disturbed && restored);
    // Twice, and more workers than threads perhaps: what one worker leaves, the next does not find.
    int ieee[2][MOST_WORKERS] = {{0}};
    for (int turn = 0; turn < 2; turn++) mm_par_run(MOST_WORKERS, disturb, ieee[turn]);
    mm_par_ieee();
    for (int w = 0; w < MOST_WORKERS; w++) assert_true(ieee[0][w] && ieee[1][w]);
}

static void slices_cover_all_in_even_parts(void **state) {
    (void)state;
    for (long n = 0; n <= 70; n++)
        for (long grain = 1; grain <= 9; grain++)
            for (int workers = 1; workers <= 8; workers++) {
                long at = 0, least = LONG_MAX, most = 0;
                for (int w = 0; w < workers; w++) {
                    long begin, end;
                    mm_par_slice(n, grain, w, workers, &begin, &end);
                    assert_int_equal(begin, at);
                    assert_true(end >= begin && (end == n || end % grain == 0));
                    long grains = (end - begin + grain - 1) / grain;
                    least = grains < least ? grains : least;
                    most = grains > most ? grains : most;
                    at = end;
                }
                assert_int_equal(at, n);
                assert_true(most - least <= 1);
            }
    long begin, end;
    mm_par_slice(((long)1 << 40) + 1, 16, 2, 3, &begin, &end);
    assert_true(end == ((long)1 << 40) + 1 && begin % 16 == 0);
}

static void cores_are_no_more_than_the_system_has(void **state) {
    (void)state;
    int cores = mm_par_cores();
    assert_true(cores >= 1 && cores <= sysconf(_SC_NPROCESSORS_CONF));
}

// A folder of this test's own, with files as /proc and /sys/fs/cgroup have them.
static char folder[PATH_MAX];

static char *path_of(char path[PATH_MAX], const char *name) {
    assert_true(snprintf(path, PATH_MAX, "%.3000s/%s", folder, name) < PATH_MAX);
    return path;
}

static void put(const char *name, const char *content) {
    char path[PATH_MAX];
    path_of(path, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state) {
    (void)state;
    const char *place = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.3000s/test-par-XXXXXX", place && *place ? place : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {
        "groups",
        "v2/a/b/cpu.max",
        "v2/a/cpu.max",
        "v2/a/memory.max",
        "v2/a/b",
        "v2/a",
        "v2",
        "v1/cpu,cpuacct/x/cpu.cfs_quota_us",
        "v1/cpu,cpuacct/x/cpu.cfs_period_us",
        "v1/cpu,cpuacct/x",
        "v1/cpu,cpuacct",
        "v1/memory/x/memory.limit_in_bytes",
        "v1/memory/x",
        "v1/memory",
        "v1",
    };
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove(path_of(path, names[i]));
    return remove(folder);
}

static void limits_of_control_groups_are_read(void **state) {
    (void)state;
    char groups[PATH_MAX], v1[PATH_MAX], v2[PATH_MAX];
    path_of(groups, "groups"), path_of(v1, "v1"), path_of(v2, "v2");
    assert_true(isinf(mm_limits_group_cpus(groups, v2))); // nothing there
    // Version 2: the smallest on the way up holds.
    put("groups", "0::/a/b\n");
    put("v2/a/b/cpu.max", "max 100000\n");
    assert_true(isinf(mm_limits_group_cpus(groups, v2)));
    put("v2/a/cpu.max", "150000 100000\n");
    assert_true(mm_limits_group_cpus(groups, v2) == 1.5);
    put("v2/a/b/cpu.max", "50000 100000\n");
    assert_true(mm_limits_group_cpus(groups, v2) == 0.5);
    put("v2/a/b/cpu.max", "rubbish\n");
    assert_true(mm_limits_group_cpus(groups, v2) == 1.5);
    put("v2/a/memory.max", "1048576\n");
    assert_true(mm_limits_group_memory(groups, v2) == 1048576);
    put("groups", "0::/\n");
    assert_true(isinf(mm_limits_group_cpus(groups, v2)));
    // Version 1: -1 is no limit; a controller is not taken for another whose name begins alike.
    put("groups", "3:cpuset:/x\n2:cpu,cpuacct:/x\n1:memory:/x\n");
    put("v1/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    put("v1/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    assert_true(isinf(mm_limits_group_cpus(groups, v1)));
    put("v1/cpu,cpuacct/x/cpu.cfs_quota_us", "300000\n");
    assert_true(mm_limits_group_cpus(groups, v1) == 3);
    put("v1/memory/x/memory.limit_in_bytes", "4096\n");
    assert_true(mm_limits_group_memory(groups, v1) == 4096);
    put("groups", "3:cpuset:/x\n");
    assert_true(isinf(mm_limits_group_cpus(groups, v1)));
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--once")) {
        const struct CMUnitTest once[] = {cmocka_unit_test(every_worker_runs_once),
                                          cmocka_unit_test(a_team_waits_for_all)};
        return cmocka_run_group_tests_name("with OMP_THREAD_LIMIT=2", once, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_runs_once),
        cmocka_unit_test(threads_stay),
        cmocka_unit_test(a_worker_may_launch_workers),
        cmocka_unit_test(a_team_waits_for_all),
        cmocka_unit_test(a_team_splits_into_parts),
        cmocka_unit_test(a_worker_may_launch_a_team),
        cmocka_unit_test(every_worker_runs_once_on_fewer_threads),
        cmocka_unit_test(workers_start_with_ieee_defaults),
        cmocka_unit_test(slices_cover_all_in_even_parts),
        cmocka_unit_test(cores_are_no_more_than_the_system_has),
        cmocka_unit_test(limits_of_control_groups_are_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
