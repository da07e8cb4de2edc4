from cordon_sandbox import Sandbox

with Sandbox() as sb:
    result = sb.commands.run("ls -la /home/user")
    print(result.stdout)

    sb.files.write("/home/user/data.csv", b"name,score\nalice,95\nbob,87\n")
    result = sb.commands.run("cat /home/user/data.csv | sort -t, -k2 -rn")
    print(result.stdout)
