echo hello
echo world
history list    # shows all executed commands with indices
history clear   # resets history
