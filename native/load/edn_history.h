/*
 * edn_history.h: histories of Jepsen and Knossos, and Porcupine's texts: events are maps of EDN.
 */
#ifndef DISSEVER_EDN_HISTORY_H
#define DISSEVER_EDN_HISTORY_H

#include "reading.h"

/*
 * Read maps one after another, or in vectors, from `at` to `end`, and record every event. The input
 * must be UTF-8. Returns false with the error set.
 */
bool edn_history(struct load *l);

#endif
