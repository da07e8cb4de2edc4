# Save state
blob = sb.export_state()

# Later, restore
sb2 = Sandbox()
sb2.import_state(blob)
