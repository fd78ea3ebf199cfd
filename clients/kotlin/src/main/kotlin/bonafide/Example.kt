package bonafide
fun main() = println("hello")
