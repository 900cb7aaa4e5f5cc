;; The inner loop of own-line.ts: lines whose rest was seen before. Made into own-line-core.ts by `bun scripts/wasm.ts`.
;;
;; Eight bytes a step, no SIMD (JSC's needs AVX, and the gain was within the noise). Everything it knows
;; was put into memory by own-line.ts, whose constants say where; it writes tallies, the list of touched slots, and
;; where and why it stopped.
(module
  (memory (export "memory") 32)

  ;; Reads lines from $line on while they begin before $end.
  ;; Returns why it stopped: 0 at $end; 1 another second or shape; 2 a rest not seen before; 3 another leader's name.
  (func (export "run") (param $line i32) (param $end i32) (param $mask i32) (result i32)
    (local $second i64) (local $second2 i32) (local $word i64) (local $zeroed i64) (local $ends i64)
    (local $at i32) (local $rest i32) (local $hash i64) (local $hash32 i32) (local $tail i64) (local $length i32)
    (local $slot i32) (local $entry i32) (local $k i32) (local $tally i32) (local $meaning i32) (local $last i32)
    (local $touched i32) (local $shift i64)
    (local.set $shift (i64.load (i32.const 56)))
    (local.set $second (i64.load (i32.const 8)))
    (local.set $second2 (i32.load16_u (i32.const 16)))
    (local.set $touched (i32.load (i32.const 20)))
    (local.set $last (i32.load (i32.const 24)))
    (block $stop (result i32)
      (loop $next (result i32)
        (if (i32.ge_u (local.get $line) (local.get $end)) (then (br $stop (i32.const 0))))

        ;; Ten digits of this second, nine more, a blank.
        (if (i64.ne (i64.load (local.get $line)) (local.get $second)) (then (br $stop (i32.const 1))))
        (if (i32.ne (i32.load16_u offset=8 (local.get $line)) (local.get $second2))
          (then (br $stop (i32.const 1))))
        (local.set $word (i64.load offset=10 (local.get $line)))
        (if (i64.ne
              (i64.or
                (i64.xor (i64.and (local.get $word) (i64.const 0xf0f0f0f0f0f0f0f0)) (i64.const 0x3030303030303030))
                (i64.xor
                  (i64.and
                    (i64.add (local.get $word) (i64.const 0x0606060606060606))
                    (i64.const 0xf0f0f0f0f0f0f0f0))
                  (i64.const 0x3030303030303030)))
              (i64.const 0))
          (then (br $stop (i32.const 1))))
        (if (i32.gt_u (i32.sub (i32.load8_u offset=18 (local.get $line)) (i32.const 48)) (i32.const 9))
          (then (br $stop (i32.const 1))))
        (if (i32.ne (i32.load8_u offset=19 (local.get $line)) (i32.const 32))
          (then (br $stop (i32.const 1))))

        ;; The rest: its hash, and on the way its end.
        (local.set $rest (i32.add (local.get $line) (i32.const 20)))
        (local.set $at (local.get $rest))
        (local.set $hash (i64.const 0))
        (block $ended
          (loop $word
            (local.set $word (i64.load (local.get $at)))
            (local.set $zeroed (i64.xor (local.get $word) (i64.const 0x0a0a0a0a0a0a0a0a)))
            (local.set $ends
              (i64.and
                (i64.and
                  (i64.sub (local.get $zeroed) (i64.const 0x0101010101010101))
                  (i64.xor (local.get $zeroed) (i64.const -1)))
                (i64.const 0x8080808080808080)))
            (br_if $ended (i64.ne (local.get $ends) (i64.const 0)))
            (local.set $hash
              (i64.mul (i64.xor (local.get $hash) (local.get $word)) (i64.const 0x9e3779b97f4a7c15)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            ;; Longer than an entry holds.
            (if (i32.gt_u (i32.sub (local.get $at) (local.get $rest)) (i32.const 40))
              (then (br $stop (i32.const 1))))
            (br $word)))
        (local.set $tail (i64.and (i64.ctz (local.get $ends)) (i64.const 56)))
        (local.set $word
          (i64.and (local.get $word) (i64.sub (i64.shl (i64.const 1) (local.get $tail)) (i64.const 1))))
        (local.set $hash
          (i64.mul (i64.xor (local.get $hash) (local.get $word)) (i64.const 0x9e3779b97f4a7c15)))
        (local.set $hash32 (i32.wrap_i64 (i64.shr_u (local.get $hash) (i64.const 32))))
        (local.set $length
          (i32.add
            (i32.sub (local.get $at) (local.get $rest))
            (i32.wrap_i64 (i64.shr_u (local.get $tail) (i64.const 3)))))
        (local.set $slot (i32.wrap_i64 (i64.shr_u (local.get $hash) (local.get $shift))))

        (block $found
          (loop $probe
            (local.set $entry (i32.add (i32.const 1024) (i32.shl (local.get $slot) (i32.const 6))))
            (block $other
              (br_if $other (i32.ne (i32.load (local.get $entry)) (local.get $hash32)))
              (br_if $other
                (i32.ne (i32.load offset=8 (local.get $entry)) (i32.add (local.get $length) (i32.const 1))))
              (local.set $k (local.get $rest))
              (block $same
                (loop $compare
                  (br_if $same (i32.eq (local.get $k) (local.get $at)))
                  (br_if $other
                    (i64.ne
                      (i64.load (local.get $k))
                      (i64.load offset=16
                        (i32.add (local.get $entry) (i32.sub (local.get $k) (local.get $rest))))))
                  (local.set $k (i32.add (local.get $k) (i32.const 8)))
                  (br $compare)))
              (br_if $found
                (i64.eq
                  (local.get $word)
                  (i64.load offset=16
                    (i32.add (local.get $entry) (i32.sub (local.get $at) (local.get $rest)))))))
            (if (i32.eqz (i32.load offset=8 (local.get $entry)))
              (then
                ;; The entry takes the rest; what it means is for own-line.ts to say, or to free the entry again.
                (i32.store (i32.const 28) (local.get $slot))
                (i32.store (i32.const 36) (local.get $length))
                (i32.store (local.get $entry) (local.get $hash32))
                (i32.store offset=8 (local.get $entry) (i32.add (local.get $length) (i32.const 1)))
                (local.set $k (local.get $rest))
                (block $kept
                  (loop $keep
                    (br_if $kept (i32.eq (local.get $k) (local.get $at)))
                    (i64.store offset=16
                      (i32.add (local.get $entry) (i32.sub (local.get $k) (local.get $rest)))
                      (i64.load (local.get $k)))
                    (local.set $k (i32.add (local.get $k) (i32.const 8)))
                    (br $keep)))
                (i64.store offset=16
                  (i32.add (local.get $entry) (i32.sub (local.get $at) (local.get $rest)))
                  (local.get $word))
                (br $stop (i32.const 2))))
            (local.set $slot (i32.and (i32.add (local.get $slot) (i32.const 1)) (local.get $mask)))
            (br $probe)))

        (local.set $tally (i32.load offset=4 (local.get $entry)))
        (if (i32.eqz (local.get $tally))
          (then
            ;; First since the last flush. Names keep their order, so another name than the leader's last one stops here.
            (local.set $meaning
              (i32.add (i32.load (i32.const 40)) (i32.shl (local.get $slot) (i32.const 4))))
            (if (i32.gt_s (i32.load offset=4 (local.get $meaning)) (i32.const 0))
              (then
                (if (i32.ne
                      (i32.load offset=4 (local.get $meaning))
                      (i32.load
                        (i32.add
                          (i32.load (i32.const 44))
                          (i32.shl (i32.load offset=12 (local.get $meaning)) (i32.const 2)))))
                  (then
                    (i32.store (i32.const 28) (local.get $slot))
                    (br $stop (i32.const 3))))))
            (i32.store
              (i32.add (i32.load (i32.const 48)) (i32.shl (local.get $touched) (i32.const 2)))
              (local.get $slot))
            (local.set $touched (i32.add (local.get $touched) (i32.const 1)))))
        (i32.store offset=4 (local.get $entry) (i32.add (local.get $tally) (i32.const 1)))
        (local.set $last (local.get $line))
        (local.set $line (i32.add (i32.add (local.get $rest) (local.get $length)) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 0) (local.get $line))
    (i32.store (i32.const 20) (local.get $touched))
    (i32.store (i32.const 24) (local.get $last))))
