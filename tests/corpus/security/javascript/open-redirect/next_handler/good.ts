import { NextResponse } from 'next/server';
export async function GET(request: NextRequest) {
  const page = request.nextUrl.searchParams.get('page');
  return NextResponse.redirect(`https://www.example.com/${page}`);
}
