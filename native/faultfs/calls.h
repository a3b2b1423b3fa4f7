/*
 * calls.h: what every call to the file system has in common: the folder, the rules and the power.
 *
 * A call that a rule may fail asks call_begin first, and holds the power (control.h) until
 * call_finish. Calls run on threads of libfuse, several at a time. They return 0, a number of
 * bytes, or -errno, as libfuse wants it.
 */
#ifndef FAULTFS_CALLS_H
#define FAULTFS_CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define FUSE_USE_VERSION 35

#include <errno.h>
#include <fuse.h>
#include <stdint.h>

#include "rules.h"

struct file;

/* An open file; it belongs to libfuse's file info from open to release. */
struct handle {
    int fd;
    uint64_t inode;
    struct file *file; /* NULL when it was opened for reading alone */
    char path[];
};

/* The folder, below the mount; set once, before the first call. */
extern int calls_root;

/*
 * Fill in the calls on names and folders (name_calls.c), and on the bytes of files (file_calls.c).
 */
void name_calls_fill(struct fuse_operations *operations);
void file_calls_fill(struct fuse_operations *operations);

/*
 * Begin a call: ask the rules, which may wait, and hold the power. Returns the errno to fail with.
 * Where it is 0, call_finish must follow on the same thread.
 */
int call_begin(enum operation operation, const char *path, struct verdict *verdict);
void call_finish(void);

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

#endif
