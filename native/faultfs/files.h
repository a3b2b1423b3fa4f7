/*
 * The files that are or were open, by inode: each with what a power failure would leave of it.
 *
 * An entry lives while its file is open, or as long as something of it is not durable. Every change
 * of a file's bytes happens between `file_lock` and `file_unlock`.
 */
#ifndef FAULTFS_FILES_H
#define FAULTFS_FILES_H

#include "extents.h"

struct file;

/*
 * The entry of the file behind fd, made if there is none; fd can read and write, and is copied.
 * NULL with errno set.
 */
struct file *file_open(int fd);

/* The entry of a file that need not be open; NULL when there is none. Closed like an open one. */
struct file *file_find(int fd);

void file_close(struct file *file);

/* Lock the file for a change; `fd` of its own serves as long as it is locked. */
int file_lock(struct file *file);
void file_unlock(struct file *file);

/* The locked file is about to change in [start, end), without being synced. 0 or -errno. */
int file_save(struct file *file, off_t start, off_t end);

/* [start, end) of the locked file has become durable. 0 or -errno. */
int file_settle(struct file *file, off_t start, off_t end);

/* All of the locked file has become durable. 0 or -errno. */
int file_settle_all(struct file *file);

struct failure {
    int64_t files;
    int64_t unsynced_files;
    int64_t kept_bytes; /* in memory for files that are not durable */
    int64_t forgotten;  /* files taken for durable because memory ran out */
    struct loss loss;
};

/* What there is, without changing anything. */
void files_count(struct failure *failure);

/*
 * The power fails: take every file back to what is durable. 0 or -errno of the first that failed.
 */
int files_lose(double keep, uint64_t seed, struct failure *failure);

#endif
