/*
 * json.h: histories in JSON: our own, one object a line, and arrays of objects from elsewhere.
 *
 * Both read from `at` to `end` and record every event. They return false with the error set. The
 * fields of an object are those of `Event`; index and time may be missing.
 */
#ifndef DISSEVER_JSON_H
#define DISSEVER_JSON_H

#include "reading.h"

/* One object a line. A last line that is cut off is no error: `cut_line` says so. */
bool json_lines(struct load *l);

/* One array of objects, with any white space. The input must be UTF-8. */
bool json_array(struct load *l);

/* Whether the array that begins here holds objects of JSON, not maps of EDN. */
bool json_is_array(const uint8_t *at, const uint8_t *end);

#endif
