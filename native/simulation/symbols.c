/* See symbols.h. The program is linked to be at the addresses that its file says (ELF, 64 bits). */
#define _POSIX_C_SOURCE 200809L
#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void find_table(struct symbols *symbols)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)symbols->file;
    if (symbols->size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
        header->e_shoff > symbols->size ||
        header->e_shnum > (symbols->size - header->e_shoff) / sizeof(Elf64_Shdr))
        return;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(symbols->file + header->e_shoff);
    for (size_t i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *table = &sections[i];
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= header->e_shnum)
            continue;
        const Elf64_Shdr *names = &sections[table->sh_link];
        if (table->sh_offset > symbols->size || table->sh_size > symbols->size - table->sh_offset ||
            names->sh_offset > symbols->size || names->sh_size > symbols->size - names->sh_offset)
            return;
        symbols->table = symbols->file + table->sh_offset;
        symbols->count = table->sh_size / sizeof(Elf64_Sym);
        symbols->names = (const char *)symbols->file + names->sh_offset;
        symbols->names_size = names->sh_size;
        return;
    }
}

struct symbols symbols_open(void)
{
    struct symbols symbols = {0};
    struct stat status;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return symbols;
    if (fstat(file, &status) == 0 && status.st_size > 0) {
        void *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (at != MAP_FAILED) {
            symbols.file = at;
            symbols.size = (size_t)status.st_size;
            find_table(&symbols);
        }
    }
    close(file);
    return symbols;
}

const char *symbols_name(const struct symbols *symbols, uintptr_t address)
{
    const Elf64_Sym *table = symbols->table;
    for (size_t i = 0; i < symbols->count; i++)
        if (ELF64_ST_TYPE(table[i].st_info) == STT_FUNC && address >= table[i].st_value &&
            address - table[i].st_value < table[i].st_size &&
            table[i].st_name < symbols->names_size)
            return symbols->names + table[i].st_name;
    return NULL;
}
