# An end of a leg ends that leg only.
10:00:00 initiated leg=a | 10:00:01 initiated leg=b | 10:00:05 answered leg=b | 10:01:00 completed leg=b
=> status=in_progress live=yes ended=none
10:00:00 initiated leg=a | 10:00:01 initiated leg=b | 10:00:05 answered leg=b | 10:01:00 completed leg=a
=> status=in_progress live=yes

# The call is over with the last of its legs; cause and source are leg a's.
10:00:00 initiated leg=a | 10:00:01 initiated leg=b | 10:00:05 answered leg=b
10:01:00 completed leg=a cause=user_hangup by=caller | 10:01:01 completed leg=b cause=normal_clearing by=system
=> status=completed ended=10:01:01 cause=user_hangup by=caller talk=56 set_by.end=e04 lost.end="e05 other_leg"
10:00:00 initiated leg=a | 10:00:05 answered leg=b
10:01:00 completed leg=b cause=agent_hangup by=callee | 10:01:01 completed leg=a
=> ended=10:01:01 cause=normal_clearing by=none

# A leg that has events must end, whatever they are.
10:00:00 initiated leg=a | 10:00:02 quality leg=c of=agent loss=0.1 | 10:01:00 completed leg=a => status=initiated live=yes

# Leg a alone.
10:00:00 initiated leg=a | 10:00:05 answered leg=a | 10:01:00 completed leg=a => status=completed talk=55

# Without leg a legs that are reported live end no call, and a leg that ended had been set up.
10:00:00 initiated leg=b | 10:01:00 completed leg=b => status=initiated ended=none live=yes
10:01:00 failed leg=b cause=busy => status=initiated live=yes ended=none
10:00:00 queued | 10:01:00 failed leg=b cause=busy => status=initiated live=yes
10:01:00 completed leg=b answered=10:00:30 rang=10:00:10 => status=in_progress ringing=10:00:10 answered=10:00:30

# A failed try of one leg, while another goes on, ends nothing.
10:00:00 initiated leg=a | 10:00:02 ringing leg=b | 10:00:20 failed leg=b cause=no_answer | 10:00:21 ringing leg=c
=> status=ringing live=yes ringing=10:00:02
10:00:00 initiated leg=a | 10:00:02 ringing leg=b | 10:00:20 failed leg=b cause=no_answer | 10:00:21 ringing leg=c
10:00:25 answered leg=c | 10:01:00 completed leg=c by=callee | 10:01:00 completed leg=a cause=agent_hangup
=> status=completed cause=agent_hangup ended=10:01:00 answered=10:00:25

# A failed try after which the originator gives up.
10:00:00 initiated leg=a | 10:00:20 failed leg=b cause=busy | 10:00:22 completed leg=a cause=user_hangup by=caller
=> status=canceled ended=10:00:22

# After a transfer cause and source are those of the leg that ended last.
10:00:00 initiated leg=a | 10:00:05 answered leg=b | 10:00:30 transferred leg=a | 10:00:31 completed leg=a transfer=yes
10:00:40 answered leg=c | 10:01:00 completed leg=b cause=user_hangup | 10:01:02 completed leg=c cause=agent_hangup by=callee
=> ended=10:01:02 cause=agent_hangup by=callee transfer=no set_by.end=e07
10:00:00 initiated leg=a | 10:00:05 answered leg=b | 10:00:30 transferred
10:01:00 completed leg=b by=callee | 10:01:02 completed leg=a by=caller
=> by=caller ended=10:01:02

# Without a transfer the last leg's cause does not count.
10:00:00 initiated leg=a | 10:00:05 answered leg=b | 10:00:31 completed leg=a transfer=yes | 10:01:00 completed leg=b
=> disconnection=call_transfer ended=10:01:00

# Of ends in one instant after a transfer the one that knows more of who hung up counts, else the larger id.
10:00:00 answered leg=a | 10:00:30 transferred | 10:01:00 completed leg=a by=caller | 10:01:00 completed leg=b cause=timeout
=> by=caller cause=normal_clearing
10:00:00 answered leg=a | 10:00:30 transferred | 10:01:00 completed leg=a cause=timeout | 10:01:00 completed leg=b
=> cause=timeout
10:00:00 answered leg=a | 10:00:30 transferred | 10:01:00 completed leg=a cause=busy | 10:01:00 completed leg=b cause=timeout
=> cause=timeout

# An end without a leg goes before the legs, earlier or later than theirs.
10:00:00 answered leg=a | 10:01:00 completed leg=a cause=user_hangup | 10:01:05 completed cause=agent_hangup
=> ended=10:01:05 cause=agent_hangup set_by.end=e03 lost.end="e02 other_leg"
10:00:00 answered leg=a | 10:00:50 completed cause=agent_hangup | 10:01:00 completed leg=a cause=user_hangup
=> ended=10:00:50 cause=agent_hangup
10:00:00 answered leg=a | 10:00:05 answered leg=b | 10:00:50 completed => status=completed ended=10:00:50

# A leg that is reported in several records is over at the last of them.
10:00:00 answered leg=a | 10:01:00 completed leg=a cause=user_hangup | 10:01:30 completed leg=a cause=agent_hangup
=> ended=10:01:30 cause=agent_hangup

# Numbers, direction and endpoint come only from leg a or from events of the whole call.
10:00:00 initiated leg=a direction=inbound from=+1 to=+2 endpoint=ep_a phone_number=pn_a type=web call_sid=A conference_sid=A sip_call_id=A
10:00:01 initiated leg=b direction=outbound from=+3 to=+4 endpoint=ep_b phone_number=pn_b type=phone call_sid=B conference_sid=B sip_call_id=B
=> direction=inbound from=+1 to=+2 endpoint=ep_a phone_number=pn_a type=web call_sid=A conference_sid=A sip_call_id=A
=> set_by.from_number=e01 lost.from_number="e02 other_leg"
10:00:00 initiated leg=a from=+1 to=+2 | 10:00:01 initiated from=+5 => from=+5 to=+2
10:00:00 initiated leg=b direction=outbound from=+3 to=+4 => direction=inbound from=+3 to=+4 endpoint=none status=initiated

# Where neither leg a nor the call itself gives the numbers, another leg does.
10:00:00 initiated leg=b from=+3 to=+4 call_sid=B | 10:00:01 initiated from=+1 => from=+1 to=none call_sid=none
10:00:00 initiated leg=b from=+3 to=+4 | 10:01:00 completed leg=a from=+1 => from=+1 to=none

# So it is with a terminal event.
10:01:00 completed leg=b from=+3 to=+4 | 10:01:01 completed leg=a from=+1 => from=+1 to=none

# Metadata, context and task may come from any leg.
10:00:00 initiated leg=a metadata=a:1 | 10:00:01 initiated leg=b metadata=b:2 context={c:1} task=3
=> metadata="a:1; b:2" context={c:1} task=3

# Ringing and answer are those of any leg.
10:00:00 initiated leg=a | 10:00:02 ringing leg=b | 10:00:05 answered leg=b => status=in_progress ringing=10:00:02

# Neither proof of life nor an x_ event brings a leg into play.
10:00:00 answered leg=a | 10:00:30 seen leg=c | 10:01:00 completed leg=a => status=completed ended=10:01:00
10:00:00 answered leg=a | 10:00:30 other leg=c | 10:01:00 completed leg=a => status=completed ended=10:01:00
10:00:00 seen leg=a | 10:01:00 completed leg=b => status=initiated ended=none
