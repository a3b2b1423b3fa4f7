/* See addresses.h. */
#define _GNU_SOURCE
#include "addresses.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <ucontext.h>
#include <unistd.h>

enum { KEPT_MAX = 8, STACK_BYTES = 16 << 20, FILLED_BYTES = 16 << 10, FRESH = 0xAA };

static const uintptr_t STACK_ADDRESS = 0x20f000000000u; /* Below the arenas of servers. */

static struct {
    int (*work)(void);
    int status;
    ucontext_t here, there;
} on_stack;

extern char **environ;

void addresses_fix(void)
{
    int now = personality(0xffffffff); /* It only asks. */
    if (now < 0 || now & ADDR_NO_RANDOMIZE || personality((unsigned)now | ADDR_NO_RANDOMIZE) < 0)
        return;
    char *arguments[] = {"simulator", NULL};
    char *kept[KEPT_MAX + 1] = {NULL}; /* Of sanitizers. */
    for (size_t i = 0, count = 0; environ[i] && count < KEPT_MAX; i++)
        if (strstr(environ[i], "SAN_OPTIONS="))
            kept[count++] = environ[i];
    execve("/proc/self/exe", arguments, kept);
}

static void work_there(void)
{
    on_stack.status = on_stack.work();
}

int addresses_run(int (*work)(void))
{
    void *stack = mmap((void *)STACK_ADDRESS, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (stack != (void *)STACK_ADDRESS || getcontext(&on_stack.there) < 0)
        return work();
    on_stack.work = work;
    on_stack.there.uc_stack = (stack_t){.ss_sp = stack, .ss_size = STACK_BYTES};
    on_stack.there.uc_link = &on_stack.here;
    makecontext(&on_stack.there, work_there, 0);
    if (swapcontext(&on_stack.here, &on_stack.there) < 0)
        return work();
    return on_stack.status;
}

__attribute__((noinline)) void stack_fill(void)
{
    uint8_t below[FILLED_BYTES];
    memset(below, FRESH, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory"); /* Or the compiler leaves it out. */
}
