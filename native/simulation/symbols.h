/* Names of functions of this program, for the text of a crash. */
#ifndef DISSEVER_SIMULATION_SYMBOLS_H
#define DISSEVER_SIMULATION_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* The program's own symbols, static functions as well; nothing is allocated. */
struct symbols {
    const uint8_t *file; /* NULL: they could not be read */
    size_t size;
    const void *table; /* Elf64_Sym */
    size_t count;
    const char *names;
    size_t names_size;
};

/* Read them from the file of this program. Never fails: there may be none. */
struct symbols symbols_open(void);

/* The function that an address is in; NULL: none of this program's. */
const char *symbols_name(const struct symbols *symbols, uintptr_t address);

#endif
