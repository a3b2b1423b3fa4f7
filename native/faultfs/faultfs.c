/*
 * A file system that passes everything on to a folder, and fails where its rules say so.
 *
 * Usage:
 *   faultfs mount FOLDER SOCKET [mapped]
 *                                 mount over FOLDER itself, listen at SOCKET, go to the background
 *   faultfs serve FOLDER SOCKET [mapped]
 *                                 the same, but stay: print an empty line once it is mounted, and
 *                                 unmount and end when stdin ends: when its parent ends
 *   faultfs send SOCKET WORD...   ask a mounted one, and print its answer
 *
 * Requests: `rule …` and `clear [ID]` (rules.h), `counts`, `off [KEEP SEED]` (the power fails: at
 * one moment, what was written and not synced is gone, and every later call fails with EIO; each
 * sector that is not durable survives with probability KEEP) and `on`.
 *
 * Every read and write comes here, none is answered from a cache; the kernel then refuses shared
 * mappings (ENODEV). With `mapped` it allows them and keeps pages. Every write still comes here. A
 * read comes here only if the kernel has kept no page of it since the file was opened last.
 *
 * What is below the mount is the folder itself, so what lies there stays when this process ends.
 * A write is durable once its file is synced, or at once when it was opened with O_SYNC or O_DSYNC.
 * Names are durable at once: that a new file's folder must be synced, too, is not shown. Writes to
 * a shared mapping are seen as writes when the kernel writes them back. The machine's own disk is
 * not synced, since the machine is not what fails.
 *
 * Privileges: those to mount, and /dev/fuse; root of a user namespace has the first. Others need
 * fusermount3, and `user_allow_other` in /etc/fuse.conf. Exit status: 0 mounted (the process goes
 * on), or answered; 1 failed, with a line on stderr; 2 usage.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 35

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "rules.h"

static int failed(const char *what)
{
    fprintf(stderr, "faultfs: %s: %s\n", what, strerror(errno));
    return 1;
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Wait until the parent is gone, then end the loop. Calls that wait in a rule go on. */
static void *outlast(void *argument)
{
    int other = (int)(intptr_t)argument;
    char bytes[64];
    ssize_t got;

    while ((got = read(other, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR))
        continue;
    rules_clear(NULL);
    kill(getpid(), SIGTERM);
    return NULL;
}

/*
 * Serve until the mount ends, or the other end of `other` is closed (-1: there is none). Writes a
 * line to `ready` once it serves.
 */
static int serve(struct fuse *fuse, int listener, int ready, int other)
{
    struct fuse_loop_config config = {.clone_fd = 0, .max_idle_threads = 10};
    int null = open("/dev/null", O_RDWR);

    setsid();
    if (null < 0 || control_start(listener) || fuse_set_signal_handlers(fuse_get_session(fuse)))
        return failed("start");
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (other >= 0 && control_thread(outlast, other))
        return failed("start");
    if (write(ready, "\n", 1) != 1)
        return failed("tell that it is ready");
    close(ready);
    int result = fuse_loop_mt(fuse, &config);
    fuse_unmount(fuse);
    fuse_destroy(fuse);
    return result < 0; /* Above 0 it is the signal that ended it. */
}

/*
 * Mount over a folder, which stays open below the mount, and listen at a socket. NULL after a line.
 */
static struct fuse *mount_over(char *folder, const char *socket_path, int is_mapped, int *listener)
{
    char *words[] = {(char *)"faultfs", (char *)"-oallow_other,default_permissions,fsname=faultfs",
                     NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, words);

    umask(0);
    raise_limit();
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        (void)failed(folder);
        return NULL;
    }
    *listener = control_listen(socket_path);
    if (*listener < 0) {
        (void)failed(socket_path);
        return NULL;
    }
    struct fuse *fuse = calls_new(root, is_mapped, &args);
    if (!fuse || fuse_mount(fuse, folder)) {
        fprintf(stderr, "faultfs: cannot mount over %s\n", folder);
        return NULL;
    }
    fuse_opt_free_args(&args);
    return fuse;
}

static int mount_in_background(char *folder, const char *socket_path, int is_mapped)
{
    int pipe_ends[2], listener;
    char byte;

    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        return failed("pipe");
    struct fuse *fuse = mount_over(folder, socket_path, is_mapped, &listener);
    if (!fuse)
        return 1;
    pid_t child = fork();
    if (child < 0)
        return failed("fork");
    if (child == 0) {
        close(pipe_ends[0]);
        _exit(serve(fuse, listener, pipe_ends[1], -1));
    }
    close(pipe_ends[1]);
    if (read(pipe_ends[0], &byte, 1) != 1)
        return failed("the background");
    _exit(0); /* All that we hold is the other's. */
}

static int mount_and_stay(char *folder, const char *socket_path, int is_mapped)
{
    int listener, ready = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int other = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    struct fuse *fuse = mount_over(folder, socket_path, is_mapped, &listener);

    if (!fuse)
        return 1;
    int status = serve(fuse, listener, ready, other);
    (void)unlink(socket_path);
    return status;
}

static int send_words(const char *socket_path, char **words, int count)
{
    char line[1024] = "";
    size_t used = 0;

    for (int i = 0; i < count; i++) {
        size_t length = strlen(words[i]);
        if (used + length + 2 > sizeof line) {
            fprintf(stderr, "faultfs: the request is too long\n");
            return 2;
        }
        memcpy(line + used, words[i], length);
        used += length;
        line[used++] = i + 1 < count ? ' ' : 0;
    }
    return control_send(socket_path, line);
}

int main(int argc, char **argv)
{
    int is_mapped = argc == 5 && !strcmp(argv[4], "mapped");

    if ((argc == 4 || is_mapped) && !strcmp(argv[1], "mount"))
        return mount_in_background(argv[2], argv[3], is_mapped);
    if ((argc == 4 || is_mapped) && !strcmp(argv[1], "serve"))
        return mount_and_stay(argv[2], argv[3], is_mapped);
    if (argc >= 4 && !strcmp(argv[1], "send"))
        return send_words(argv[2], argv + 3, argc - 3);
    fprintf(stderr, "usage: faultfs mount|serve FOLDER SOCKET [mapped] |"
                    " faultfs send SOCKET WORD...\n");
    return 2;
}
