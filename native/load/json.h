/*
 * json.h: values in JSON.
 *
 * On an error the functions set it, and return -1 or false. `depth` counts the levels that are
 * open, at most LOAD_DEPTH_MAX.
 */
#ifndef DISSEVER_JSON_H
#define DISSEVER_JSON_H

#include "lists.h"

/* Read any value; returns its id, or -1. */
int32_t json_value(struct load *l, int depth);

/* Read and push the items of a list, or keys and values of a map, from its bracket on. */
bool json_items(struct load *l, uint8_t closing, int depth);

/* Read null, true, false, NaN or an infinity; returns its id, or -1. */
int32_t json_word(struct load *l);

/* Read a number; `is_float` when it has a point or an exponent. */
bool json_number(struct load *l, struct span *text, bool *is_float);

/* Read one byte that must come, after blanks. */
bool json_byte(struct load *l, uint8_t byte, const char *expected);

/* Set the error that something else was expected here. Returns false. */
bool json_fail(struct load *l, const char *expected);

/* Go to what is no white space. Where lines are read, no newline comes before the end. */
static inline void json_blank(struct load *l)
{
    while (l->at < l->end &&
           (*l->at == ' ' || *l->at == '\t' || *l->at == '\r' || *l->at == '\n'))
        l->at++;
}

/* Read a text that stands where `expected` says; nothing else will do. */
static inline bool json_text(struct load *l, const char *expected, struct span *text)
{
    json_blank(l);
    if (l->at >= l->end || *l->at != '"')
        return json_fail(l, expected);
    return value_string(l, true, text);
}

#endif
