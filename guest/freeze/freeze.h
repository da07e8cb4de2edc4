/* Programs that start where they were initialised: see README.md. */
#ifndef CORDON_FREEZE_H
#define CORDON_FREEZE_H

/* Whether this run is the one that is to be frozen. */
int cordon_freezes(void);

/* Writes this program to standard output and ends; goes on in `go_on` when it is started. Does not
 * return: the exit status is 0, or 1 when it was refused, with the reason on standard error. */
_Noreturn void cordon_freeze(int (*go_on)(int argc, char** argv, char** envp));

/* In `go_on`, while nothing was printed, opened or changed: starts from the beginning instead. */
_Noreturn void cordon_start_over(void);

#endif
