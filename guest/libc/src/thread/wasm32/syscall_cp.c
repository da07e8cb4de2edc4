/* Calls are made in place; see patches/musl.patch. */
