/*
 * The files that are or were open, by inode: each with what a power failure would leave of it.
 *
 * An entry lives while its file is open, or as long as something of it is not durable. Every change
 * of a file's bytes happens between `file_lock` and `file_unlock`.
 */
#ifndef FAULTFS_FILES_H
#define FAULTFS_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a power failure would leave of one file: the bytes that were made durable and have been
 * changed since, and the size that was.
 *
 * The file itself always holds what was written last. An extent keeps the durable bytes of a range
 * that was overwritten or cut off without being synced; putting all of them back, and the size,
 * takes the file to where it was. Extents are sorted and do not overlap, and lie below the durable
 * size. Not safe for threads: the caller holds the file's lock.
 */
struct extent {
    off_t start;
    off_t length;
    unsigned char *bytes; /* NULL: zeros */
};

struct extents {
    struct extent *list;
    size_t count;
    size_t room;
    off_t size; /* durable, in bytes */
    off_t kept; /* bytes in memory */
};

struct loss {
    int64_t bytes; /* that were written and are not there any more */
    int64_t sectors_kept;
    int64_t sectors_lost;
};

/* Start from a file of which everything is durable. */
void extents_init(struct extents *extents, off_t size);

void extents_free(struct extents *extents);

/* Whether a power failure would change the file, which is `size` bytes long now. */
int extents_are_dirty(const struct extents *extents, off_t size);

/* [start, end) is about to change in the file behind fd, without being synced. 0, or -errno. */
int extents_save(struct extents *extents, int fd, off_t start, off_t end);

/* [start, end) of the file has become durable. 0, or -errno. */
int extents_settle(struct extents *extents, off_t start, off_t end);

/* All of the file, `size` bytes, has become durable. */
void extents_settle_all(struct extents *extents, off_t size);

/*
 * The power fails: take the file behind fd back to what is durable. Each sector of 512 bytes that
 * is not durable survives with probability `keep`, drawn from *random. 0, or -errno.
 */
int extents_lose(struct extents *extents, int fd, double keep, uint64_t *random,
                 struct loss *loss);

/* The next number of the generator splitmix64, and the same as a fraction from 0 to below 1. */
uint64_t random_next(uint64_t *state);
double random_fraction(uint64_t *state);

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
