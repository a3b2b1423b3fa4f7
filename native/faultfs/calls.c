/*
 * calls.c: the calls to the file system, passed on to the folder below the mount.
 *
 * A call that a rule may fail asks call_begin first, and holds the power (control.h) until
 * call_finish. Calls run on threads of libfuse, several at a time. They return 0, a number of
 * bytes, or -errno, as libfuse wants it.
 *
 * Of bytes there are books of what a power failure would take back: what is about to change is
 * saved before it changes, under the lock of the file (files.h). A write is durable once its file
 * is synced, or at once when it was opened with O_SYNC or O_DSYNC. Names are durable at once. Calls
 * that only look are never failed by a rule: a node that cannot even look is a node whose disk is
 * gone.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 35

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "control.h"
#include "files.h"
#include "rules.h"

#define SYNC_FLAGS (O_SYNC | O_DSYNC)

/* An open file; it belongs to libfuse's file info from open to release. */
struct handle {
    int fd;
    uint64_t inode;
    struct file *file; /* NULL when it was opened for reading alone */
    char path[];
};

/* The folder, below the mount; set once, before the first call. */
static int calls_root = -1;
static int calls_are_mapped;

/* The way from the calls_root, as the calls that end in `at` want it. */
static inline const char *inner_path(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static inline struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh;
}

static inline const char *path_of(const char *path, const struct fuse_file_info *info)
{
    return path ? path : info ? handle_of(info)->path : "/";
}

static int answer(int result)
{
    return result < 0 ? -errno : 0;
}

/*
 * Begin a call: ask the rules, which may wait, and hold the power. Returns the errno to fail with.
 * Where it is 0, call_finish must follow on the same thread.
 */
static int call_begin(enum operation operation, const char *path, struct verdict *verdict)
{
    *verdict = rules_judge(operation, inner_path(path));
    pthread_rwlock_rdlock(&power_lock);
    control_count((int)operation);
    int failure = power_is_off ? EIO : verdict->is_torn ? 0 : verdict->fails;
    if (failure)
        pthread_rwlock_unlock(&power_lock);
    return failure;
}

static void call_finish(void)
{
    pthread_rwlock_unlock(&power_lock);
}

/* The whole of a do_ function for a call of one line; `call` gives -1 with errno when it fails. */
#define SIMPLE(operation, path, call)                                                             \
    do {                                                                                          \
        struct verdict verdict;                                                                   \
        int failure = call_begin(operation, path, &verdict);                                      \
        if (failure)                                                                              \
            return -failure;                                                                      \
        failure = (call) < 0 ? errno : 0;                                                         \
        call_finish();                                                                            \
        return -failure;                                                                          \
    } while (0)

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
    info->direct_io = !calls_are_mapped; /* Every read is seen, none is answered from a cache. */
    return 0;
failed:;
    int saved = errno ? errno : ENOMEM;
    free(handle);
    close(fd);
    return saved;
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
    /* What is kept of a file with unsynced writes may hold a copy of fd, and its lock with it. */
    (void)flock(handle->fd, LOCK_UN);
    if (handle->file)
        file_close(handle->file);
    close(handle->fd);
    free(handle);
    return 0;
}

/* Open a file below the mount with flags, and for the caller with those of `info`. */
static int open_file(const char *path, int flags, mode_t mode, int caller_flags,
                     struct fuse_file_info *info)
{
    struct verdict verdict;
    int failure = call_begin(OP_OPEN, path, &verdict);

    if (failure)
        return -failure;
    int fd = openat(calls_root, inner_path(path), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    failure = fd < 0 ? errno : attach(fd, path, caller_flags, info);
    if (!failure && info->flags & O_TRUNC && (failure = save_and_cut(fd, 0)))
        (void)do_release(path, info);
    call_finish();
    return -failure;
}

static int do_open(const char *path, struct fuse_file_info *info)
{
    /* Who writes it must be able to read it, too. */
    int access = (info->flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR;

    return open_file(path, access, 0, info->flags, info);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    return open_file(path, O_RDWR | O_CREAT | (info->flags & O_EXCL), mode, O_RDWR, info);
}

static int do_read(const char *path, char *bytes, size_t length, off_t offset,
                   struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    const char *name = path_of(path, info);
    struct verdict verdict;
    int failure = call_begin(OP_READ, name, &verdict);

    if (failure)
        return -failure;
    ssize_t got = pread(handle->fd, bytes, length, offset);
    int result = got < 0 ? -errno : (int)got;
    call_finish();
    if (got > 0 && rules_may_flip(OP_READ))
        rules_flip(OP_READ, inner_path(name), handle->inode, (unsigned char *)bytes, (size_t)got,
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
    int failure = call_begin(OP_WRITE, name, &verdict);
    unsigned char *copy = NULL;

    if (failure)
        return -failure;
    if (rules_may_flip(OP_WRITE) && (copy = malloc(length))) {
        memcpy(copy, bytes, length);
        rules_flip(OP_WRITE, inner_path(name), handle->inode, copy, length, offset);
        bytes = (const char *)copy;
    }
    size_t part = verdict.is_torn ? (size_t)(verdict.part * (double)length) : length;
    ssize_t put = part ? write_tracked(handle, bytes, part, offset, info->flags & SYNC_FLAGS) : 0;
    free(copy);
    call_finish();
    if (put < 0 || !verdict.is_torn)
        return (int)put;
    return verdict.fails ? -verdict.fails : (int)length;
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    const char *name = path_of(path, info);
    struct verdict verdict;
    int failure = call_begin(OP_TRUNCATE, name, &verdict);

    if (failure)
        return -failure;
    int fd = info ? handle_of(info)->fd : openat(calls_root, inner_path(path), O_RDWR | O_CLOEXEC);
    failure = fd < 0 ? errno : save_and_cut(fd, size);
    if (!info && fd >= 0)
        close(fd);
    call_finish();
    return -failure;
}

static int do_fallocate(const char *path, int mode, off_t offset, off_t length,
                        struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    struct verdict verdict;
    int failure = call_begin(OP_ALLOCATE, path_of(path, info), &verdict);

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
    call_finish();
    return -failure;
}

static int do_fsync(const char *path, int only_data, struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);
    struct verdict verdict;
    int failure = call_begin(OP_FSYNC, path_of(path, info), &verdict);

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
    call_finish();
    return -failure;
}

static int do_flock(const char *path, struct fuse_file_info *info, int operation)
{
    (void)path;
    return answer(flock(handle_of(info)->fd, operation));
}

static int do_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    return answer(info ? fstat(handle_of(info)->fd, status)
                       : fstatat(calls_root, inner_path(path), status, AT_SYMLINK_NOFOLLOW));
}

static int do_access(const char *path, int mask)
{
    return answer(faccessat(calls_root, inner_path(path), mask, 0));
}

static int do_readlink(const char *path, char *target, size_t room)
{
    ssize_t length = readlinkat(calls_root, inner_path(path), target, room - 1);

    if (length < 0)
        return -errno;
    target[length] = 0;
    return 0;
}

static int do_mkdir(const char *path, mode_t mode)
{
    SIMPLE(OP_FOLDER, path, mkdirat(calls_root, inner_path(path), mode));
}

static int do_rmdir(const char *path)
{
    SIMPLE(OP_FOLDER, path, unlinkat(calls_root, inner_path(path), AT_REMOVEDIR));
}

static int do_unlink(const char *path)
{
    SIMPLE(OP_UNLINK, path, unlinkat(calls_root, inner_path(path), 0));
}

static int do_symlink(const char *target, const char *path)
{
    SIMPLE(OP_OPEN, path, symlinkat(target, calls_root, inner_path(path)));
}

static int do_link(const char *from, const char *to)
{
    SIMPLE(OP_OPEN, to, linkat(calls_root, inner_path(from), calls_root, inner_path(to), 0));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
    SIMPLE(OP_RENAME, from,
           renameat2(calls_root, inner_path(from), calls_root, inner_path(to), flags));
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    return answer(info ? fchmod(handle_of(info)->fd, mode)
                       : fchmodat(calls_root, inner_path(path), mode, 0));
}

static int do_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info)
{
    return answer(info ? fchown(handle_of(info)->fd, user, group)
                       : fchownat(calls_root, inner_path(path), user, group, AT_SYMLINK_NOFOLLOW));
}

static int do_utimens(const char *path, const struct timespec times[2],
                      struct fuse_file_info *info)
{
    return answer(info ? futimens(handle_of(info)->fd, times)
                       : utimensat(calls_root, inner_path(path), times, AT_SYMLINK_NOFOLLOW));
}

static int do_statfs(const char *path, struct statvfs *status)
{
    (void)path;
    return answer(fstatvfs(calls_root, status));
}

static int do_opendir(const char *path, struct fuse_file_info *info)
{
    struct verdict verdict;
    int failure = call_begin(OP_FOLDER, path, &verdict);

    if (failure)
        return -failure;
    int fd = openat(calls_root, inner_path(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    failure = folder ? 0 : errno;
    if (!folder && fd >= 0)
        close(fd);
    info->fh = (uint64_t)(uintptr_t)folder;
    call_finish();
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

struct fuse *calls_new(int root, int is_mapped, struct fuse_args *args)
{
    static const struct fuse_operations operations = {
        .init = do_init,
        .release = do_release,
        .open = do_open,
        .create = do_create,
        .read = do_read,
        .write = do_write,
        .truncate = do_truncate,
        .fallocate = do_fallocate,
        .fsync = do_fsync,
        .flock = do_flock,
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
    };
    calls_root = root;
    calls_are_mapped = is_mapped;
    return fuse_new(args, &operations, sizeof operations, NULL);
}
