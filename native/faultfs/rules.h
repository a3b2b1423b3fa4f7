/*
 * Which calls fail, and how: rules that are added and taken away while the file system is in use.
 *
 * A rule is a line of words, `ID do=ACTION op=OPERATION,… KEY=VALUE …`:
 *   do=fail errno=EIO      the call fails, and nothing of it is done
 *   do=slow ms=N           the call waits first; it goes on when the rule is taken away
 *   do=tear errno=EIO      only the first part of a write reaches the file; errno=0: it claims all
 *   do=flip                a bit in a read or a write is wrong; of a read always the same ones
 *   op=all|open|read|write|fsync|allocate|truncate|rename|unlink|folder (default all)
 *   path=GLOB              of the name under which the file was opened, from the root, without /
 *   probability=P seed=S   of each matching call (flip: of each sector of 512 bytes); default 1, 0
 *   from=N times=N         from the n-th matching call on (default 1); at most so often
 */
#ifndef FAULTFS_RULES_H
#define FAULTFS_RULES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum operation {
    OP_OPEN,
    OP_READ,
    OP_WRITE,
    OP_FSYNC,
    OP_ALLOCATE,
    OP_TRUNCATE,
    OP_RENAME,
    OP_UNLINK,
    OP_FOLDER, /* made, removed, listed */
    OP_COUNT
};

extern const char *const operation_names[OP_COUNT];

/* What is to happen to one call. */
struct verdict {
    int fails;   /* an errno, or 0 */
    int is_torn; /* a write is: `fails` is what the caller gets, 0 for success */
    double part; /* of a torn write that is done, from 0 to below 1 */
};

/* Ask the rules about a call; waits as long as they say. */
struct verdict rules_judge(enum operation operation, const char *path);

/* Flip bits in what was read from, or is to be written to, an offset of a file. */
void rules_flip(enum operation operation, const char *path, uint64_t inode,
                unsigned char *bytes, size_t length, off_t offset);

/* Whether a rule flips bits in such calls: only then is a copy needed. */
int rules_may_flip(enum operation operation);

/* Add a rule, or replace that of its ID. NULL, or what is wrong with it. */
const char *rules_add(char *line);

/* Take a rule away, or all of them (id NULL). */
void rules_clear(const char *id);

/* The rules and what they did, as JSON, to `text`; at most `room` bytes with the final zero. */
void rules_describe(char *text, size_t room);

#endif
