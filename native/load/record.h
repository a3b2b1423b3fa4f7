/*
 * record.h: one event after the other becomes columns.
 *
 * An invocation of a client opens an operation of its process, and the next event of the process
 * completes it; after an info a process never returns. Events of nemeses are kept as they are. The
 * rules and the messages are those of `pair` in `harness/history.py`, which pairs live events.
 */
#ifndef DISSEVER_RECORD_H
#define DISSEVER_RECORD_H

#include "event.h"

#define NS_PER_EVENT 1000000 /* between events without a time */

/*
 * Add an event that lacks no field that it needs: number it, time it, and pair it or keep it.
 *
 * Returns false, with the error set, when no run can have this event here, a number is out of its
 * range, or memory runs out.
 */
bool load_record(struct load *l, struct event *event);

/*
 * Give every column a capacity of at least 1; what is past it is lost. Without memory it sets the
 * error and returns false.
 */
bool record_resize(struct load *l, size_t capacity);

#endif
