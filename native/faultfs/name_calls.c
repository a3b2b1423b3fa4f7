/*
 * name_calls.c: calls on names and folders, passed on to the folder below the mount.
 *
 * Names are durable at once. Those that only look are never failed by a rule: a node that cannot
 * even look is a node whose disk is gone.
 */
#include "calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int do_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    /* No rule fails it: a node that cannot even look is a node whose disk is gone. */
    int result = info ? fstat(handle_of(info)->fd, status)
                      : fstatat(calls_root, inner_path(path), status, AT_SYMLINK_NOFOLLOW);
    return result < 0 ? -errno : 0;
}

static int do_access(const char *path, int mask)
{
    return faccessat(calls_root, inner_path(path), mask, 0) < 0 ? -errno : 0;
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
    int result = info ? fchmod(handle_of(info)->fd, mode)
                      : fchmodat(calls_root, inner_path(path), mode, 0);

    return result < 0 ? -errno : 0;
}

static int do_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info)
{
    int result = info ? fchown(handle_of(info)->fd, user, group)
                      : fchownat(calls_root, inner_path(path), user, group, AT_SYMLINK_NOFOLLOW);

    return result < 0 ? -errno : 0;
}

static int do_utimens(const char *path, const struct timespec times[2],
                      struct fuse_file_info *info)
{
    int result = info ? futimens(handle_of(info)->fd, times)
                      : utimensat(calls_root, inner_path(path), times, AT_SYMLINK_NOFOLLOW);

    return result < 0 ? -errno : 0;
}

static int do_statfs(const char *path, struct statvfs *status)
{
    (void)path;
    return fstatvfs(calls_root, status) < 0 ? -errno : 0;
}

/* Folders. */

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

void name_calls_fill(struct fuse_operations *operations)
{
    operations->getattr = do_getattr;
    operations->access = do_access;
    operations->readlink = do_readlink;
    operations->mkdir = do_mkdir;
    operations->rmdir = do_rmdir;
    operations->unlink = do_unlink;
    operations->symlink = do_symlink;
    operations->link = do_link;
    operations->rename = do_rename;
    operations->chmod = do_chmod;
    operations->chown = do_chown;
    operations->utimens = do_utimens;
    operations->statfs = do_statfs;
    operations->opendir = do_opendir;
    operations->readdir = do_readdir;
    operations->releasedir = do_releasedir;
    operations->fsyncdir = do_fsyncdir;
}
