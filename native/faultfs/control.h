/*
 * The control socket: a stream socket of the file system's, one request for each connection.
 *
 * A request is a line of words of at most 1023 bytes; the answer is a line, too: a JSON object, or
 * `error: ` and what was expected. Requests are served one after another, while calls go on.
 *
 *   rule ID do=ACTION …   add a rule, or replace that of its ID: see rules.h     {}
 *   clear [ID]            take a rule away, or all; who waits for one goes on    {}
 *   counts                "calls": {operation: how many}, "files": open or with something unsynced,
 *                         "unsynced_files", "kept_bytes": what it keeps to be able to go back,
 *                         "forgotten": files it could not keep that of, "refused": calls while the
 *                         power was off, "is_off", "rules": {ID: {"seen", "hits", "bytes"}}
 *   off [KEEP SEED]       the power fails, see faultfs.c: "unsynced_files", "lost_bytes",
 *                         "lost_sectors", "kept_sectors"
 *   on                    the power is back                                      {}
 */
#ifndef FAULTFS_CONTROL_H
#define FAULTFS_CONTROL_H

#include <pthread.h>

/* Held for reading by every call that touches files; for writing while the power fails. */
extern pthread_rwlock_t power_lock;

/* Whether the power is off: every call fails with EIO. Under power_lock. */
extern int power_is_off;

/* Count a call of an operation, see rules.h. */
void control_count(int operation);

/* Start a thread that no signal comes to: they are for the file system's loop. 0 or an errno. */
int control_thread(void *(*run)(void *), int descriptor);

struct fuse;
struct fuse_args;

/*
 * The file system over a folder that is open for reading (calls.c). With is_mapped, files can be
 * mapped, and the kernel keeps pages of them. NULL after a line.
 */
struct fuse *calls_new(int root, int is_mapped, struct fuse_args *args);

/* Listen at a path, which may be long; its folder exists. A descriptor, or -1 with errno. */
int control_listen(const char *path);

/* Serve a listening socket from a thread of its own. 0 or an errno. */
int control_start(int descriptor);

/* Send a line to the socket at a path, and print the answer; an exit status. */
int control_send(const char *path, const char *line);

#endif
