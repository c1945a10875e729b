import { NextResponse } from 'next/server';
export async function GET(request: NextRequest) {
  const to = request.nextUrl.searchParams.get('to');
  return NextResponse.redirect(to); // expect: open-redirect
}
