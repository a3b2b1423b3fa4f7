/*
 * edn.h: forms of EDN as values.
 *
 * Keywords, symbols and characters become texts; sets and lists become lists; a tagged element is
 * its form; keys of maps become texts; metadata are left out. What Clojure prints and EDN does not
 * know, such as #<an object>, is a text. White space is that of ASCII, and the comma. The input
 * must be UTF-8. On an error the functions set it, and return EDN_ERROR, -1 or false. `depth` counts the
 * levels that are open, at most LOAD_DEPTH_MAX.
 */
#ifndef DISSEVER_EDN_H
#define DISSEVER_EDN_H

#include "lists.h"

enum edn_next { EDN_ERROR, EDN_FORM, EDN_CLOSE, EDN_END };

/* Go to the next form that is not discarded, to a closing bracket, or to the end. */
enum edn_next edn_next(struct load *l, int depth);

/* Read the form that begins here; returns its id, or -1. */
int32_t edn_form(struct load *l, int depth);

/* As edn_form, at the first level. */
bool edn_any(struct load *l, int32_t *id);

/*
 * Whether another form comes before the closing bracket. If none does, the bracket is read. False
 * also on an error. `start` is the opening bracket.
 */
bool edn_more(struct load *l, uint8_t closing, const uint8_t *start, int depth);

/* Push the items of a list, vector or set, after its bracket. */
bool edn_items(struct load *l, uint8_t closing, const uint8_t *start, int depth);

/* The bytes up to the end of the atom that begins here. */
struct span edn_atom(struct load *l);

/* Read the tag that begins here with '#'. */
bool edn_tag(struct load *l);

/* Read a form that must be a text, of any spelling; valid until the next value is interned. */
bool edn_text(struct load *l, const char *expected, struct span *text);

/* Set the error that something else was expected here. Returns false. */
bool edn_fail(struct load *l, const char *expected);

/* Whether an atom ends before this byte. */
bool edn_is_end(uint8_t c);

static inline bool edn_is_letter(uint8_t c)
{
    uint8_t low = c | 0x20;
    return low >= 'a' && low <= 'z';
}

#endif
