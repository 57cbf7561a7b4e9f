/* A 32-bit program for Linux on i386 without any library: makes a socket, connects it to
 * 198.18.0.1 port 80, and exits with the errno. */
	.text
	.globl _start
_start:
	mov $359, %eax /* socket */
	mov $2, %ebx
	mov $1, %ecx
	xor %edx, %edx
	int $0x80
	mov %eax, %ebx
	mov $362, %eax /* connect */
	mov $target, %ecx
	mov $16, %edx
	int $0x80
	neg %eax
	mov %eax, %ebx
	mov $1, %eax /* exit */
	int $0x80

	.data
target:
	.byte 2, 0, 0, 80, 198, 18, 0, 1
	.fill 8
