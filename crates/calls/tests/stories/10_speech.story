# Somebody who spoke was reached: a turn of the outside party implies an answer, at the first turn of either side.
10:00:00 initiated | 10:00:04 turn role=agent says=hello | 10:00:07 turn role=user says=hello | 10:01:00 completed
=> status=completed answered=10:00:04 talk=56 set_by.answered_at=e02
10:00:00 initiated | 10:00:07 turn role=user says=hello => status=in_progress live=yes answered=10:00:07

# Turns of the agent alone show no answer.
10:00:00 initiated | 10:00:04 turn role=agent says=hello | 10:01:00 completed => status=no_answer answered=none

# A turn's start is counted from the answer.
10:00:00 initiated | 10:00:09 turn role=user says=hello start=3000 end=5000 | 10:01:00 completed => answered=10:00:06

# Turns that are reported after the end show how long the call went on at least.
10:00:00 initiated | 10:01:00 completed | 10:02:00 turn role=user says=hello start=1000 end=40000
=> status=completed answered=10:00:20 talk=40
10:00:50 initiated | 10:01:00 completed | 10:02:00 turn role=user says=hello start=1000 end=40000
=> answered=10:00:50 talk=10

# A reported answer, or one that a length implies, goes before it.
10:00:00 initiated | 10:00:02 answered | 10:00:01 turn role=user says=hello => answered=10:00:02
10:00:00 initiated | 10:00:07 turn role=user says=hello | 10:01:00 completed duration=58 => answered=10:00:02

# What a recogniser heard in a recording implies nothing.
10:00:00 initiated | 10:00:07 turn role=user says=hello inferred=yes | 10:01:00 completed => status=no_answer

# A call of which nothing but turns is known is not live.
10:00:07 turn role=user says=hello => status=queued answered=none

# It stays so when the words are deleted.
10:00:00 initiated | 10:00:04 spoke role=agent | 10:00:07 spoke role=user start=3000 | 10:01:00 completed
=> status=completed answered=10:00:04 turns=none
