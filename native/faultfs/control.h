/* The control socket: one request a line, one JSON object or `error: …` as answer. */
#ifndef FAULTFS_CONTROL_H
#define FAULTFS_CONTROL_H

#include <pthread.h>

/* Held for reading by every call that touches files; for writing while the power fails. */
extern pthread_rwlock_t power_lock;

/* Whether the power is off: every call fails with EIO. Under power_lock. */
extern int power_is_off;

/* Count a call of an operation, see rules.h. */
void control_count(int operation);

/* Listen at a path, which may be long; its folder exists. A descriptor, or -1 with errno. */
int control_listen(const char *path);

/* Serve a listening socket from a thread of its own. 0 or an errno. */
int control_start(int descriptor);

/* Send a line to the socket at a path, and print the answer; an exit status. */
int control_send(const char *path, const char *line);

#endif
