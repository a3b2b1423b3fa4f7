/* See control.h. */
#define _GNU_SOURCE
#include "control.h"

#include "files.h"
#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define ANSWER_MAX_BYTES 8192
#define PATIENCE_S 20

pthread_rwlock_t power_lock = PTHREAD_RWLOCK_INITIALIZER;
int power_is_off;

static int64_t calls[OP_COUNT];
static int64_t refused; /* because the power was off */

void control_count(int operation)
{
    __atomic_add_fetch(&calls[operation], 1, __ATOMIC_RELAXED);
    if (power_is_off)
        __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
}

static void answer_counts(char *answer)
{
    struct failure failure = {0};
    size_t used = 0;

    files_count(&failure);
    used += (size_t)sprintf(answer, "{\"calls\": {");
    for (int i = 0; i < OP_COUNT; i++)
        used += (size_t)sprintf(answer + used, "%s\"%s\": %lld", i ? ", " : "", operation_names[i],
                                (long long)__atomic_load_n(&calls[i], __ATOMIC_RELAXED));
    used += (size_t)sprintf(
        answer + used,
        "}, \"files\": %lld, \"unsynced_files\": %lld, \"kept_bytes\": %lld, "
        "\"forgotten\": %lld, \"refused\": %lld, \"is_off\": %s, \"rules\": ",
        (long long)failure.files, (long long)failure.unsynced_files,
        (long long)failure.kept_bytes, (long long)failure.forgotten,
        (long long)__atomic_load_n(&refused, __ATOMIC_RELAXED), power_is_off ? "true" : "false");
    rules_describe(answer + used, ANSWER_MAX_BYTES - used - 2);
    strcat(answer, "}");
}

/* `off [KEEP SEED]`: at one moment, what is not durable is gone and every later call fails. */
static void turn_off(char *words, char *answer)
{
    struct failure failure = {0};
    double keep = 0;
    unsigned long long seed = 0;

    if (words && sscanf(words, "%lf %llu", &keep, &seed) < 1) {
        sprintf(answer, "error: expected off [KEEP SEED]");
        return;
    }
    pthread_rwlock_wrlock(&power_lock);
    int result = files_lose(keep, seed, &failure);
    power_is_off = 1;
    pthread_rwlock_unlock(&power_lock);
    if (result)
        sprintf(answer, "error: %s", strerror(-result));
    else
        sprintf(answer,
                "{\"unsynced_files\": %lld, \"lost_bytes\": %lld, \"lost_sectors\": %lld, "
                "\"kept_sectors\": %lld}",
                (long long)failure.unsynced_files, (long long)failure.loss.bytes,
                (long long)failure.loss.sectors_lost, (long long)failure.loss.sectors_kept);
}

static void turn_on(char *answer)
{
    pthread_rwlock_wrlock(&power_lock);
    power_is_off = 0;
    pthread_rwlock_unlock(&power_lock);
    strcpy(answer, "{}");
}

static void obey(char *line, char *answer)
{
    char *words = NULL, *verb = strtok_r(line, " ", &words);
    const char *wrong;

    while (words && *words == ' ')
        words++;
    if (words && !*words)
        words = NULL;
    if (verb && !strcmp(verb, "rule") && words) {
        wrong = rules_add(words);
        sprintf(answer, wrong ? "error: %s" : "{}", wrong);
    } else if (verb && !strcmp(verb, "clear")) {
        rules_clear(words);
        strcpy(answer, "{}");
    } else if (verb && !strcmp(verb, "counts")) {
        answer_counts(answer);
    } else if (verb && !strcmp(verb, "off")) {
        turn_off(words, answer);
    } else if (verb && !strcmp(verb, "on")) {
        turn_on(answer);
    } else {
        strcpy(answer, "error: expected rule, clear, counts, off or on");
    }
}

/* Read up to a line's end, which is cut off. 0, or -1. */
static int read_line(int descriptor, char *line, size_t room)
{
    size_t used = 0;

    while (used + 1 < room) {
        ssize_t got = read(descriptor, line + used, room - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        used += (size_t)got;
        line[used] = 0;
        char *end = memchr(line, '\n', used);
        if (end) {
            *end = 0;
            return 0;
        }
    }
    return -1;
}

static int write_all(int descriptor, const char *text)
{
    size_t left = strlen(text);

    while (left) {
        ssize_t put = send(descriptor, text, left, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        text += put;
        left -= (size_t)put;
    }
    return 0;
}

static void converse(int connection)
{
    static char answer[ANSWER_MAX_BYTES]; /* One thread serves. */
    char line[LINE_MAX_BYTES];
    struct timeval patience = {.tv_sec = PATIENCE_S};

    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (read_line(connection, line, sizeof line))
        return;
    obey(line, answer);
    strcat(answer, "\n");
    (void)write_all(connection, answer);
}

static void *serve(void *argument)
{
    int listener = (int)(intptr_t)argument;

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0 && errno == EBADF)
            return NULL;
        if (connection < 0)
            continue;
        converse(connection);
        close(connection);
    }
}

/* A socket's address holds 107 bytes of a path: so we go to its folder, and name it from there. */
static int with_address(const char *path, int (*act)(int, const struct sockaddr *, socklen_t),
                        int descriptor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[PATH_MAX];
    const char *name = strrchr(path, '/');

    if (!name || (size_t)(name - path) >= sizeof folder ||
        strlen(name + 1) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, path, (size_t)(name - path));
    folder[name - path] = 0;
    strcpy(address.sun_path, name + 1);
    if (chdir(*folder ? folder : "/") < 0)
        return -1;
    int result = act(descriptor, (const struct sockaddr *)&address, sizeof address);
    int saved = errno;
    if (chdir("/") < 0)
        return -1;
    errno = saved;
    return result;
}

int control_listen(const char *path)
{
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return -1;
    (void)unlink(path);
    if (with_address(path, bind, descriptor) < 0 || listen(descriptor, 16) < 0) {
        int saved = errno;
        close(descriptor);
        errno = saved;
        return -1;
    }
    return descriptor;
}

int control_thread(void *(*run)(void *), int descriptor)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&thread, NULL, run, (void *)(intptr_t)descriptor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result ? result : pthread_detach(thread);
}

int control_start(int descriptor)
{
    return control_thread(serve, descriptor);
}

int control_send(const char *path, const char *line)
{
    static char answer[ANSWER_MAX_BYTES];
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0 || with_address(path, connect, descriptor) < 0) {
        fprintf(stderr, "faultfs: %s: %s\n", path, strerror(errno));
        return 1;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (write_all(descriptor, line) || write_all(descriptor, "\n") ||
        read_line(descriptor, answer, sizeof answer)) {
        fprintf(stderr, "faultfs: %s: no answer\n", path);
        return 1;
    }
    close(descriptor);
    if (*answer != '{') {
        fprintf(stderr, "faultfs: %s\n", answer);
        return 1;
    }
    puts(answer);
    return 0;
}
