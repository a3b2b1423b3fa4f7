/*
 * file_calls.c: calls on the bytes of files, with books of what a power failure would take back.
 *
 * What is about to change is saved before it changes, under the lock of the file (files.h). A write
 * is durable once its file is synced, or at once when it was opened with O_SYNC or O_DSYNC.
 */
#include "calls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define SYNC_FLAGS (O_SYNC | O_DSYNC)

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
    int failure = call_begin(OP_OPEN, path, &verdict);

    if (failure)
        return -failure;
    int fd = openat(calls_root, inner_path(path), inner_flags(info->flags));
    if (fd < 0)
        failure = errno;
    if (!failure)
        failure = attach(fd, path, info->flags, info);
    if (!failure && info->flags & O_TRUNC && (failure = save_and_cut(fd, 0)))
        (void)do_release(path, info);
    call_finish();
    return -failure;
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    struct verdict verdict;
    int failure = call_begin(OP_OPEN, path, &verdict);

    if (failure)
        return -failure;
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (info->flags & O_EXCL);
    int fd = openat(calls_root, inner_path(path), flags, mode);
    failure = fd < 0 ? errno : attach(fd, path, O_RDWR, info);
    if (!failure && info->flags & O_TRUNC && (failure = save_and_cut(fd, 0)))
        (void)do_release(path, info);
    call_finish();
    return -failure;
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
    return flock(handle_of(info)->fd, operation) < 0 ? -errno : 0;
}

void file_calls_fill(struct fuse_operations *operations)
{
    operations->open = do_open;
    operations->create = do_create;
    operations->release = do_release;
    operations->read = do_read;
    operations->write = do_write;
    operations->truncate = do_truncate;
    operations->fallocate = do_fallocate;
    operations->fsync = do_fsync;
    operations->flock = do_flock;
}
