# What the translator of the emulation engine has done.
args: -accel tcg,tb-size=3 -smp 2
(qemu) info jit
Translation buffer state:
gen code size       {num}/2097152
TB count            {num}
TB avg target size  {num} max={num} bytes
TB avg host size    {num} bytes (expansion ratio: {num}.{num})
cross page TB count {num} ({num}%)
direct jump count   {num} ({num}% of {num})
TB hash buckets     {num}/{num} ({num}.{num}% head buckets used)
TB hash avg chain   {num}.{num} buckets

Statistics:
TB flush count      {num}
TB regions dropped  {num}
TB invalidate count {num}
TLB full flushes    {re:[1-9]\d*}
TLB partial flushes {num}
TLB page flushes    {num}
TBs translated      {num}
TBs self-checking   {num}
instructions        {num} translated, {re:[1-9]\d*} interpreted

Slow paths:
entries {re: +\d+}
TLB fills {re: +\d+}
...

Handlers called most:
...
CPU #0:
Translation buffer state:
gen code size       {num}/1048576
...
CPU #1:
...
Handlers called most:
(qemu) info kvm -v
kvm support: disabled
engine: interpreter and JIT{any}
...
CPU #1: {num} instructions interpreted
'info jit' tells more
