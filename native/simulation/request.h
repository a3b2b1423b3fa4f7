/* A frame that the harness sent, as the functions that do what it asks see it (commands.c). */
#ifndef DISSEVER_SIMULATION_REQUEST_H
#define DISSEVER_SIMULATION_REQUEST_H

#include "output.h"
#include "simulation.h"

struct request {
    struct simulation *simulation;
    struct input *input;
    struct output *answer;
    bool has_answered; /* with a frame of its own; otherwise FRAME_OK or FRAME_REFUSED follows */
};

/* Reads its fields and does it. NULL: done; otherwise why not. */
typedef const char *command_call(struct request *request);

extern const char SHORT[];     /* fields are missing, or there are too many */
extern const char NO_SERVER[];

/* The server that the next byte names; NULL: there is none. */
struct server *get_server(struct request *request);

void begin_answer(struct request *request, enum frame_kind kind);

/* Links, disks, clocks, memory (commands_hosts.c). */
command_call do_cut;
command_call do_impair;
command_call do_count;
command_call do_probe;
command_call do_reach;
command_call do_disk_rule;
command_call do_disk_hits;
command_call do_clock;
command_call do_clock_look;
command_call do_allocation;
command_call do_allocations;
command_call do_wipe;
command_call do_change;

#endif
