/*
 * A file system that passes everything on to a folder, and fails as it is told.
 *
 * Usage:
 *   faultfs mount FOLDER SOCKET   mount over FOLDER itself, listen at SOCKET, go to the background
 *   faultfs serve FOLDER SOCKET   the same, but stay: tell by a line that it is mounted, and unmount
 *                                 and end when stdin ends, so with whoever holds its other end
 *   faultfs send SOCKET WORD...   ask a mounted one, and print its answer
 *
 * Requests: `rule …` and `clear [ID]` (rules.h), `counts`, `off [KEEP SEED]` (the power fails: at
 * one moment, what was written and not synced is gone, and every later call fails with EIO; each
 * sector that is not durable survives with probability KEEP) and `on`.
 *
 * What is below the mount is the folder itself, so what lies there stays when this process ends.
 * A write is durable once its file is synced, or at once when it was opened with O_SYNC or O_DSYNC.
 * Names are durable at once: that a new file's folder must be synced, too, is not shown. Writes to
 * a shared mapping are seen as writes when the kernel writes them back. The machine's own disk is
 * not synced, since the machine is not what fails.
 *
 * Privileges: those to mount, and /dev/fuse; root of a user namespace has the first. Others need
 * fusermount3, and `user_allow_other` in /etc/fuse.conf.
 * Exit status: 0 mounted (the process goes on), or answered; 1 failed, with a line on stderr; 2 usage.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 35

#include "control.h"
#include "files.h"
#include "rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SYNC_FLAGS (O_SYNC | O_DSYNC)

struct handle {
    int fd;
    uint64_t inode;
    struct file *file; /* NULL when it was opened for reading alone */
    char path[];
};

static int root = -1; /* the folder, below the mount */

/* The way from the root, as the calls that end in `at` want it. */
static const char *inner(const char *path)
{
    return path[1] ? path + 1 : ".";
}

/*
 * Begin a call: ask the rules, and hold the power. Returns the errno to fail with; where it is 0,
 * `finish` must follow.
 */
static int begin(enum operation operation, const char *path, struct verdict *verdict)
{
    *verdict = rules_judge(operation, inner(path));
    pthread_rwlock_rdlock(&power_lock);
    control_count((int)operation);
    int failure = power_is_off ? EIO : verdict->is_torn ? 0 : verdict->fails;
    if (failure)
        pthread_rwlock_unlock(&power_lock);
    return failure;
}

static void finish(void)
{
    pthread_rwlock_unlock(&power_lock);
}

/* The same for a call of one line; `call` gives -1 with errno when it fails. */
#define SIMPLE(operation, path, call)                                                             \
    do {                                                                                          \
        struct verdict verdict;                                                                   \
        int failure = begin(operation, path, &verdict);                                           \
        if (failure)                                                                              \
            return -failure;                                                                      \
        failure = (call) < 0 ? errno : 0;                                                         \
        finish();                                                                                 \
        return -failure;                                                                          \
    } while (0)

static struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh;
}

static const char *path_of(const char *path, const struct fuse_file_info *info)
{
    return path ? path : info ? handle_of(info)->path : "/";
}

/* --- names ------------------------------------------------------------------------------------ */

static int do_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    /* No rule fails it: a node that cannot even look is a node whose disk is gone. */
    int result = info ? fstat(handle_of(info)->fd, status)
                      : fstatat(root, inner(path), status, AT_SYMLINK_NOFOLLOW);
    return result < 0 ? -errno : 0;
}

static int do_access(const char *path, int mask)
{
    return faccessat(root, inner(path), mask, 0) < 0 ? -errno : 0;
}

static int do_readlink(const char *path, char *target, size_t room)
{
    ssize_t length = readlinkat(root, inner(path), target, room - 1);

    if (length < 0)
        return -errno;
    target[length] = 0;
    return 0;
}

static int do_mkdir(const char *path, mode_t mode)
{
    SIMPLE(OP_FOLDER, path, mkdirat(root, inner(path), mode));
}

static int do_rmdir(const char *path)
{
    SIMPLE(OP_FOLDER, path, unlinkat(root, inner(path), AT_REMOVEDIR));
}

static int do_unlink(const char *path)
{
    SIMPLE(OP_UNLINK, path, unlinkat(root, inner(path), 0));
}

static int do_symlink(const char *target, const char *path)
{
    SIMPLE(OP_OPEN, path, symlinkat(target, root, inner(path)));
}

static int do_link(const char *from, const char *to)
{
    SIMPLE(OP_OPEN, to, linkat(root, inner(from), root, inner(to), 0));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
    SIMPLE(OP_RENAME, from, renameat2(root, inner(from), root, inner(to), flags));
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    int result = info ? fchmod(handle_of(info)->fd, mode) : fchmodat(root, inner(path), mode, 0);

    return result < 0 ? -errno : 0;
}

static int do_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info)
{
    int result = info ? fchown(handle_of(info)->fd, user, group)
                      : fchownat(root, inner(path), user, group, AT_SYMLINK_NOFOLLOW);

    return result < 0 ? -errno : 0;
}

static int do_utimens(const char *path, const struct timespec times[2],
                      struct fuse_file_info *info)
{
    int result = info ? futimens(handle_of(info)->fd, times)
                      : utimensat(root, inner(path), times, AT_SYMLINK_NOFOLLOW);

    return result < 0 ? -errno : 0;
}

static int do_statfs(const char *path, struct statvfs *status)
{
    (void)path;
    return fstatvfs(root, status) < 0 ? -errno : 0;
}

/* --- folders ---------------------------------------------------------------------------------- */

static int do_opendir(const char *path, struct fuse_file_info *info)
{
    struct verdict verdict;
    int failure = begin(OP_FOLDER, path, &verdict);

    if (failure)
        return -failure;
    int fd = openat(root, inner(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    failure = folder ? 0 : errno;
    if (!folder && fd >= 0)
        close(fd);
    info->fh = (uint64_t)(uintptr_t)folder;
    finish();
    return -failure;
}

static int do_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
    DIR *folder = (DIR *)(uintptr_t)info->fh;

    (void)path, (void)offset, (void)flags;
    rewinddir(folder);
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry)
            return -errno;
        struct stat status = {.st_ino = entry->d_ino,
                              .st_mode = (mode_t)DTTOIF(entry->d_type)};
        if (fill(buffer, entry->d_name, &status, 0, 0))
            return -ENOMEM;
    }
}

static int do_releasedir(const char *path, struct fuse_file_info *info)
{
    (void)path;
    closedir((DIR *)(uintptr_t)info->fh);
    return 0;
}

static int do_fsyncdir(const char *path, int only_data, struct fuse_file_info *info)
{
    (void)info, (void)only_data;
    SIMPLE(OP_FSYNC, path ? path : "/", 0);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Fill in a handle for fd, which it owns from then on, also when that fails. 0, or an errno. */
static int attach(int fd, const char *path, int flags, struct fuse_file_info *info)
{
    struct stat status;
    size_t length = strlen(path) + 1;
    struct handle *handle = malloc(sizeof *handle + length);

    if (!handle || fstat(fd, &status) < 0)
        goto failed;
    handle->fd = fd;
    handle->inode = status.st_ino;
    handle->file = NULL;
    memcpy(handle->path, path, length);
    if ((flags & O_ACCMODE) != O_RDONLY) {
        handle->file = file_open(fd);
        if (!handle->file)
            goto failed;
    }
    info->fh = (uint64_t)(uintptr_t)handle;
    info->direct_io = 1; /* Every read and write is seen, none is answered from a cache. */
    return 0;
failed:;
    int saved = errno ? errno : ENOMEM;
    free(handle);
    close(fd);
    return saved;
}

/* What to open a file with: who writes it must be able to read it, too. */
static int inner_flags(int flags)
{
    int access = (flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR;

    return access | O_CLOEXEC | O_NOFOLLOW;
}

static int save_and_cut(int fd, off_t size)
{
    struct file *file = file_open(fd);

    if (!file)
        return errno;
    (void)file_lock(file);
    int failure = file_save(file, size, INT64_MAX);
    if (!failure && ftruncate(fd, size) < 0)
        failure = -errno;
    file_unlock(file);
    file_close(file);
    return -failure;
}

static int do_release(const char *path, struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);

    (void)path;
    if (handle->file)
        file_close(handle->file);
    close(handle->fd);
    free(handle);
    return 0;
}

static int do_open(const char *path, struct fuse_file_info *info)
{
    struct verdict verdict;
    int failure = begin(OP_OPEN, path, &verdict);

    if (failure)
        return -failure;
    int fd = openat(root, inner(path), inner_flags(info->flags));
    if (fd < 0)
        failure = errno;
    if (!failure)
        failure = attach(fd, path, info->flags, info);
    if (!failure && info->flags & O_TRUNC && (failure = save_and_cut(fd, 0)))
        (void)do_release(path, info);
    finish();
    return -failure;
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    struct verdict verdict;
    int failure = begin(OP_OPEN, path, &verdict);

    if (failure)
        return -failure;
    int exclusive = info->flags & O_EXCL;
    int fd = openat(root, inner(path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | exclusive, mode);
    failure = fd < 0 ? errno : attach(fd, path, O_RDWR, info);
    if (!failure && info->flags & O_TRUNC && (failure = save_and_cut(fd, 0)))
        (void)do_release(path, info);
    finish();
    return -failure;
}

static int do_read(const char *path, char *bytes, size_t length, off_t offset,
                   struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    const char *name = path_of(path, info);
    struct verdict verdict;
    int failure = begin(OP_READ, name, &verdict);

    if (failure)
        return -failure;
    ssize_t got = pread(handle->fd, bytes, length, offset);
    int result = got < 0 ? -errno : (int)got;
    finish();
    if (got > 0 && rules_may_flip(OP_READ))
        rules_flip(OP_READ, inner(name), handle->inode, (unsigned char *)bytes, (size_t)got,
                   offset);
    return result;
}

/* Write what is not torn off, and keep the books. Bytes written, or -errno. */
static ssize_t write_tracked(struct handle *handle, const char *bytes, size_t length, off_t offset,
                             int is_synced)
{
    struct file *file = handle->file;
    off_t end = offset + (off_t)length;

    if (!file)
        return -EBADF;
    (void)file_lock(file);
    int failure = is_synced ? 0 : file_save(file, offset, end);
    ssize_t put = failure ? -1 : pwrite(handle->fd, bytes, length, offset);
    if (!failure && put < 0)
        failure = -errno;
    if (!failure && is_synced)
        failure = file_settle(file, offset, offset + put);
    file_unlock(file);
    return failure ? failure : put;
}

static int do_write(const char *path, const char *bytes, size_t length, off_t offset,
                    struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    const char *name = path_of(path, info);
    struct verdict verdict;
    int failure = begin(OP_WRITE, name, &verdict);
    unsigned char *copy = NULL;

    if (failure)
        return -failure;
    if (rules_may_flip(OP_WRITE) && (copy = malloc(length))) {
        memcpy(copy, bytes, length);
        rules_flip(OP_WRITE, inner(name), handle->inode, copy, length, offset);
        bytes = (const char *)copy;
    }
    size_t part = verdict.is_torn ? (size_t)(verdict.part * (double)length) : length;
    ssize_t put = part ? write_tracked(handle, bytes, part, offset, info->flags & SYNC_FLAGS) : 0;
    free(copy);
    finish();
    if (put < 0 || !verdict.is_torn)
        return (int)put;
    return verdict.fails ? -verdict.fails : (int)length;
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    const char *name = path_of(path, info);
    struct verdict verdict;
    int failure = begin(OP_TRUNCATE, name, &verdict);

    if (failure)
        return -failure;
    int fd = info ? handle_of(info)->fd : openat(root, inner(path), O_RDWR | O_CLOEXEC);
    failure = fd < 0 ? errno : save_and_cut(fd, size);
    if (!info && fd >= 0)
        close(fd);
    finish();
    return -failure;
}

static int do_fallocate(const char *path, int mode, off_t offset, off_t length,
                        struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    struct verdict verdict;
    int failure = begin(OP_ALLOCATE, path_of(path, info), &verdict);

    if (failure)
        return -failure;
    if (!handle->file) {
        failure = EBADF;
    } else {
        (void)file_lock(handle->file);
        /* Only allocating changes no byte that is there; a hole, say, does. */
        failure = mode ? -file_save(handle->file, offset, offset + length) : 0;
        if (!failure && fallocate(handle->fd, mode, offset, length) < 0)
            failure = errno;
        file_unlock(handle->file);
    }
    finish();
    return -failure;
}

static int do_fsync(const char *path, int only_data, struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    struct verdict verdict;
    int failure = begin(OP_FSYNC, path_of(path, info), &verdict);

    (void)only_data;
    if (failure)
        return -failure;
    struct file *file = file_find(handle->fd);
    if (file) {
        (void)file_lock(file);
        failure = -file_settle_all(file);
        file_unlock(file);
        file_close(file);
    }
    finish();
    return -failure;
}

static int do_flock(const char *path, struct fuse_file_info *info, int operation)
{
    (void)path;
    return flock(handle_of(info)->fd, operation) < 0 ? -errno : 0;
}

static void *do_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->nullpath_ok = 1;
    config->hard_remove = 1;
    config->entry_timeout = 0; /* A power failure changes files behind the kernel's back. */
    config->attr_timeout = 0;
    config->negative_timeout = 0;
    return NULL;
}

static const struct fuse_operations OPERATIONS = {
    .init = do_init,
    .getattr = do_getattr,
    .access = do_access,
    .readlink = do_readlink,
    .mkdir = do_mkdir,
    .rmdir = do_rmdir,
    .unlink = do_unlink,
    .symlink = do_symlink,
    .link = do_link,
    .rename = do_rename,
    .chmod = do_chmod,
    .chown = do_chown,
    .utimens = do_utimens,
    .statfs = do_statfs,
    .opendir = do_opendir,
    .readdir = do_readdir,
    .releasedir = do_releasedir,
    .fsyncdir = do_fsyncdir,
    .open = do_open,
    .create = do_create,
    .release = do_release,
    .read = do_read,
    .write = do_write,
    .truncate = do_truncate,
    .fallocate = do_fallocate,
    .fsync = do_fsync,
    .flock = do_flock,
};

/* --- the program ------------------------------------------------------------------------------ */

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

/* Wait until whoever started us is gone, then have the loop end: what waits in a rule goes on. */
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

static int start_outlasting(int other)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&thread, NULL, outlast, (void *)(intptr_t)other);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result ? result : pthread_detach(thread);
}

/*
 * Serve until the mount ends, or what `other` (-1: nobody's) was connected to; once `ready` was told.
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
    if (other >= 0 && start_outlasting(other))
        return failed("start");
    if (write(ready, "\n", 1) != 1)
        return failed("tell that it is ready");
    close(ready);
    int result = fuse_loop_mt(fuse, &config);
    fuse_unmount(fuse);
    fuse_destroy(fuse);
    return result < 0; /* Above 0 it is the signal that ended it. */
}

/* Mount over a folder, which stays open as `root`, and listen at a socket. NULL after a line. */
static struct fuse *mount_over(char *folder, const char *socket_path, int *listener)
{
    char *words[] = {(char *)"faultfs", (char *)"-oallow_other,default_permissions,fsname=faultfs",
                     NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, words);

    umask(0);
    raise_limit();
    root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        (void)failed(folder);
        return NULL;
    }
    int readable = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(root);
    root = readable;
    *listener = control_listen(socket_path);
    if (root < 0 || *listener < 0) {
        (void)failed(socket_path);
        return NULL;
    }
    struct fuse *fuse = fuse_new(&args, &OPERATIONS, sizeof OPERATIONS, NULL);
    if (!fuse || fuse_mount(fuse, folder)) {
        fprintf(stderr, "faultfs: cannot mount over %s\n", folder);
        return NULL;
    }
    fuse_opt_free_args(&args);
    return fuse;
}

static int mount_in_background(char *folder, const char *socket_path)
{
    int pipe_ends[2], listener;
    char byte;

    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        return failed("pipe");
    struct fuse *fuse = mount_over(folder, socket_path, &listener);
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

static int mount_and_stay(char *folder, const char *socket_path)
{
    int listener, ready = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int other = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    struct fuse *fuse = mount_over(folder, socket_path, &listener);

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
    if (argc == 4 && !strcmp(argv[1], "mount"))
        return mount_in_background(argv[2], argv[3]);
    if (argc == 4 && !strcmp(argv[1], "serve"))
        return mount_and_stay(argv[2], argv[3]);
    if (argc >= 4 && !strcmp(argv[1], "send"))
        return send_words(argv[2], argv + 3, argc - 3);
    fprintf(stderr, "usage: faultfs mount|serve FOLDER SOCKET | faultfs send SOCKET WORD...\n");
    return 2;
}
