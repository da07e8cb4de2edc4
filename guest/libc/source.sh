# The distribution's source package of the guest's libc.
version=1.2.3-1
dsc_sha256=243a7462e9c751da662c4c61d4c96b6318c796ba302b72f6cdf74ea5427a9b4f
