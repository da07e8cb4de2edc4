/* Programs are linked statically; this satisfies the headers that speak of a dynamic linker. */
#define LDSO_ARCH "wasm32"
#define TPOFF_K 0
#define CRTJMP(pc, sp) __builtin_trap()
#define GETFUNCSYM(fp, sym, got) (*(fp) = sym)
