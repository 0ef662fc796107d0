// Every cell of the contract's table is in tests/status.rs; here is how each is reached.

# Completed.
10:00:00 answered | 10:01:00 completed => status=completed disconnection=user_hangup cause=normal_clearing failed=no
10:00:00 answered | 10:01:00 failed cause=rejected => status=completed disconnection=user_hangup
10:00:00 answered | 10:01:00 completed cause=busy => status=completed disconnection=user_hangup
10:00:00 answered | 10:01:00 completed cause=no_answer => status=completed disconnection=user_hangup

# A completed call whose network failed in the end was still completed.
10:00:00 answered | 10:01:00 completed cause=network_error => status=completed disconnection=user_hangup

# A call that failed in the talk.
10:00:00 answered | 10:01:00 failed => status=failed cause=network_error disconnection=error_network talk=60
10:00:00 answered | 10:01:00 failed cause=timeout => status=failed disconnection=error_timeout talk=60

# The longest duration was reached.
10:00:00 answered | 10:01:00 completed cause=timeout => status=completed disconnection=max_duration_reached

# Who cleared: the user is the outside party, caller of an inbound and callee of an outbound call.
10:00:00 answered | 10:01:00 completed by=caller direction=inbound => disconnection=user_hangup
10:00:00 answered | 10:01:00 completed by=callee direction=inbound => disconnection=agent_hangup
10:00:00 answered | 10:01:00 completed by=caller direction=outbound => disconnection=agent_hangup
10:00:00 answered | 10:01:00 completed by=callee direction=outbound => disconnection=user_hangup
10:00:00 answered | 10:01:00 completed by=system => disconnection=user_hangup
10:00:00 answered | 10:01:00 completed cause=agent_hangup by=caller direction=inbound => disconnection=agent_hangup
10:00:00 answered | 10:01:00 completed cause=user_hangup by=callee direction=inbound => disconnection=user_hangup

# A transfer and an order through the API are said on purpose, so they go before the cause.
10:00:00 answered | 10:01:00 completed transfer=yes cause=user_hangup => disconnection=call_transfer transfer=yes
10:00:00 answered | 10:01:00 completed transfer=yes by=api => disconnection=call_transfer
10:00:00 answered | 10:01:00 completed by=api => disconnection=manual_stopped
10:00:00 answered | 10:01:00 completed by=api cause=timeout => disconnection=manual_stopped

# Given up before the answer.
10:00:00 ringing | 10:00:09 completed cause=user_hangup => status=canceled disconnection=user_hangup
10:00:00 initiated direction=outbound | 10:00:09 completed cause=agent_hangup => status=canceled disconnection=agent_hangup
10:00:00 initiated direction=outbound | 10:00:09 completed by=caller => status=canceled disconnection=agent_hangup
10:00:00 initiated direction=inbound | 10:00:09 completed by=api => status=canceled disconnection=manual_stopped
10:00:00 initiated | 10:00:09 failed cause=user_hangup => status=canceled failed=yes

# Rang out.
10:00:00 ringing | 10:00:30 completed cause=no_answer => status=no_answer disconnection=dial_no_answer talk=0
10:00:00 ringing | 10:00:30 failed cause=no_answer => status=no_answer
10:00:00 ringing | 10:00:30 completed => status=no_answer disconnection=dial_no_answer
10:00:00 ringing | 10:00:30 completed by=callee => status=no_answer
10:00:00 ringing | 10:00:30 completed by=system => status=no_answer
10:00:00 ringing | 10:00:30 completed cause=timeout => status=no_answer disconnection=dial_no_answer

# Busy.
10:00:00 initiated | 10:00:01 failed cause=busy => status=busy disconnection=dial_busy
10:00:00 initiated | 10:00:01 completed cause=busy by=api => status=busy disconnection=dial_busy

# Failed.
10:00:00 initiated | 10:00:01 failed => status=failed cause=network_error disconnection=error_network
10:00:00 initiated | 10:00:01 completed cause=network_error => status=failed disconnection=error_network
10:00:00 initiated | 10:00:01 failed cause=timeout => status=failed disconnection=error_timeout
10:00:00 initiated | 10:00:01 failed cause=rejected by=callee => status=failed disconnection=dial_failed
10:00:00 initiated | 10:00:01 completed cause=rejected => status=failed disconnection=dial_failed

# A call that is not over has no disconnection.
10:00:00 queued => disconnection=none cause=none by=none
10:00:00 answered => disconnection=none cause=none by=none
