/* See crash.h. The handler allocates nothing but what the frame takes, on a stack of its own. */
#define _GNU_SOURCE
#include "crash.h"

#include "simulation.h"
#include "symbols.h"

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef ENDLESS_S
#define ENDLESS_S 3 /* of the processor, in one event, which takes microseconds */
#endif

enum { STACK_BYTES = 1 << 16, FRAMES_MAX = 24, FRAME_BYTES = 4 + 1 + 8 + 1 + 4 + 4 + 1 };

static uint8_t stack[STACK_BYTES];

static void write_all(int file, const void *bytes, size_t size)
{
    for (const uint8_t *at = bytes; size;) {
        ssize_t count = write(file, at, size);
        if (count <= 0)
            return;
        at += count;
        size -= (size_t)count;
    }
}

static uint8_t *put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

static void say_exit(const struct server *server, int signal_number)
{
    uint8_t frame[FRAME_BYTES], *at = frame;
    at = put(at, FRAME_BYTES - 4, 4);
    at = put(at, FRAME_EXIT, 1);
    at = put(at, simulation.now_ns, 8);
    at = put(at, server->number, 1);
    at = put(at, server->incarnation, 4);
    at = put(at, (uint32_t)-signal_number, 4);
    put(at, 0, 1);
    write_all(STDOUT_FILENO, simulation.output.bytes, simulation.output.frame);
    write_all(STDOUT_FILENO, frame, sizeof frame);
}

/* The functions of this program that ran, from the innermost on, up to the simulator's own loop. */
static void write_frames(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    struct symbols symbols = symbols_open();
    bool is_ours = true; /* The handler itself, and what called it. */
    for (int i = 0; i < count; i++) {
        /* A return address may be that of the next function: look before it. */
        const char *name = symbols_name(&symbols, (uintptr_t)frames[i] - 1);
        if (!name || !strcmp(name, "watch") || !strcmp(name, "caught") || !strcmp(name, "write_frames"))
            continue;
        write_all(STDERR_FILENO, is_ours ? " in " : " < ", is_ours ? 4 : 3);
        write_all(STDERR_FILENO, name, strlen(name));
        is_ours = false;
        if (!strcmp(name, "simulation_advance"))
            break;
    }
    write_all(STDERR_FILENO, "\n", 1);
}

static void caught(int signal_number)
{
    const struct server *server = simulation.running;
    char line[80];
    int size = server ? snprintf(line, sizeof line, "n%u: ended by signal %d", server->number + 1,
                                 signal_number)
                      : snprintf(line, sizeof line, "the simulator: ended by signal %d", signal_number);
    write_all(STDERR_FILENO, line, (size_t)size);
    write_frames();
    if (!server)
        _exit(3);
    say_exit(server, signal_number);
    _exit(0);
}

/* The processor's time went by, and no event ended: the code of a server loops. */
static void watch(int signal_number)
{
    static uint64_t events_run = UINT64_MAX;
    (void)signal_number;
    if (simulation.running && simulation.events_run == events_run)
        caught(SIGXCPU);
    events_run = simulation.events_run;
}

void crash_catch(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    void *frames[1];
    backtrace(frames, 1); /* It loads a library at its first call: not in the handler. */
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    struct sigaction watching = {.sa_handler = watch, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigemptyset(&watching.sa_mask);
    sigaction(SIGPROF, &watching, NULL);
    const struct timeval interval = {.tv_sec = ENDLESS_S};
    setitimer(ITIMER_PROF, &(struct itimerval){.it_interval = interval, .it_value = interval}, NULL);
}
