/* A frozen interpreter's objects under a new hash secret. */
#ifndef CORDON_PYTHON_REHASH_H
#define CORDON_PYTHON_REHASH_H

/* Before the interpreter is initialised: from now on it is known which blocks of memory are in use. */
void rehash_watch(void);
/* At the end, with the interpreter quiet: finds every hash that depends on the secret. What cannot be
 * rehashed ends the process with a message: it would be wrong in every start. */
void rehash_prepare(void);
/* After the start: takes a new secret and puts every hash and every table right. */
void rehash(void);

#endif
