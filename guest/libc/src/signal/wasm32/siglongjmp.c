/* See src/setjmp/wasm32/setjmp.c. */
