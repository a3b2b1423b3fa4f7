/*
 * etcd.h: Porcupine's logs of Jepsen runs against etcd.
 *
 * `INFO  jepsen.util - <process> :<type> :<f> <value>`, tabs or spaces between. The value is EDN. A
 * keyword in its place, such as :timed-out, is an error.
 */
#ifndef DISSEVER_ETCD_H
#define DISSEVER_ETCD_H

#include "reading.h"

/* Whether a log begins here: the name of a level, and the end of the word. */
bool etcd_is_log(const uint8_t *at, const uint8_t *end);

/*
 * Read one event a line, from `at` to `end`, and record it. The input must be UTF-8. Returns false
 * with the error set.
 */
bool etcd_lines(struct load *l);

#endif
