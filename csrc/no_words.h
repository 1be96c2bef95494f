// Takes the words of each_vector.h back, so that the next kind of vector can give them other meanings.

#undef PATH
#undef TARGET
#undef VECTOR
#undef LANES
#undef WIDTH
#undef LOAD
#undef STORE
#undef LOADN
#undef STOREN
#undef ALL
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef FMA
#undef MAX
#undef KEEP
#undef EXP
#undef SQRT
#undef INTRINSIC
